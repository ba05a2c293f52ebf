// Keeps the ages of times right: `5 min ago`, counts down to others: `12 min 30 s`, and to estimates: `in 12 min`.
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

function left(seconds) {
  for (const [size, name, rest, restName] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]) {
    if (seconds < size) continue;
    const more = Math.floor(seconds % size / rest);
    return `${Math.floor(seconds / size)} ${name}` + (more ? ` ${more} ${restName}` : "");
  }
  return seconds > 0 ? `${Math.floor(seconds)} s` : "over";
}

setInterval(() => {
  for (const each of document.querySelectorAll("time[data-left]")) {
    const text = left((Date.parse(each.dateTime) - Date.now()) / 1000);
    if (each.textContent !== text) each.textContent = text;
  }
}, 1000);

function due(seconds) {
  if (seconds < 1) return "now";
  return `in ${left(seconds >= 120 ? Math.floor(seconds / 60) * 60 : seconds)}`;
}

setInterval(() => {
  for (const each of document.querySelectorAll("time[data-due]")) {
    const text = due((Date.parse(each.dateTime) - Date.now()) / 1000);
    if (each.textContent !== text) each.textContent = text;
  }
}, 1000);
