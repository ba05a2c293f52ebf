// Copies the command beside a button. Without this script the buttons are not shown, and the text can be selected.
"use strict";

(() => {
  const SHOWN_MS = 2000;

  // The API of the clipboard exists at https and localhost only; elsewhere the browser copies what is selected.
  async function copy(text, source) {
    if (navigator.clipboard) {
      try { await navigator.clipboard.writeText(text); return true; } catch { /* not permitted: as without it */ }
    }
    const selection = getSelection();
    selection.selectAllChildren(source);
    const isCopied = document.execCommand("copy");
    if (isCopied) selection.removeAllRanges(); // else the operator copies what is selected
    return isCopied;
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    const source = button?.previousElementSibling;
    if (!source) return;
    const isCopied = await copy(source.textContent, source);
    button.dataset.copy = isCopied ? "copied" : "selected";
    document.getElementById("copied").textContent = isCopied ? "The command is copied." : "The command is selected.";
    setTimeout(() => { button.dataset.copy = ""; }, SHOWN_MS);
  });
  document.documentElement.classList.add("can-copy");
})();
