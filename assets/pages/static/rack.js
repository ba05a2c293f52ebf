// The selection of hosts in the rack: how many, all of them, none by Escape; `/` goes to the search.
"use strict";

(() => {
  const form = document.getElementById("selection");
  const all = document.getElementById("select-all");
  const status = document.getElementById("selected");
  if (!form || !all) return;
  const boxes = () => [...form.querySelectorAll("input[name=host]")];

  function show() {
    const found = boxes();
    const count = found.filter((each) => each.checked).length;
    status.textContent = count ? `${count} selected:` : "With the selected hosts:";
    all.checked = count > 0 && count === found.length;
    all.indeterminate = count > 0 && count < found.length;
  }

  all.hidden = false;
  all.addEventListener("change", () => {
    for (const each of boxes()) each.checked = all.checked;
    show();
  });
  form.addEventListener("change", show);
  new MutationObserver(show).observe(document.getElementById("rack"), { childList: true });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const isTyping = event.target.matches("input:not([type=checkbox]), select, textarea");
    if (event.key === "/" && !isTyping) {
      event.preventDefault();
      document.getElementById("q").focus();
    } else if (event.key === "Escape") {
      if (isTyping) event.target.blur();
      else for (const each of boxes()) each.checked = false;
      show();
    }
  });
  show();
})();
