// Keeps the ages of times right: `5 min ago`.
"use strict";

function age(seconds) {
  for (const [size, name] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${name} ago`;
  }
  return `${Math.max(0, Math.floor(seconds))} s ago`;
}

setInterval(() => {
  for (const each of document.querySelectorAll("time[data-ago]")) {
    const text = age((Date.now() - Date.parse(each.dateTime)) / 1000);
    if (each.textContent !== text) each.textContent = text;
  }
}, 5000);
