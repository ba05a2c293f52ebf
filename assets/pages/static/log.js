// Adds the lines of a machine's log as they come. A pause keeps the view still; the lines are added all the same.
"use strict";

(() => {
  const MOST_LINES = 3000;
  const RETRY_MS = 3000;
  const COLOURS = { emerg: "red", alert: "red", crit: "red", err: "red", warning: "amber", debug: "muted" };
  const log = document.querySelector("[data-follow]");
  if (!log) return;
  const lines = document.getElementById("log-lines");
  const state = document.getElementById("log-state");
  const button = document.getElementById("log-follow");
  const problem = document.getElementById("log-problem");
  const cut = document.getElementById("log-cut");
  let added = []; // since the connection began; a new one sends them again
  let waiting = [];
  let follows = true;
  let stream = null;

  function printable(text) {
    return text.replace(/[^\P{C}\t]/gu, "\uFFFD");
  }

  function part(kind, text) {
    const found = document.createElement(kind === "time" ? "time" : "span");
    if (kind !== "time") found.className = kind;
    found.textContent = printable(text);
    return found;
  }

  function lineOf(found) {
    const item = document.createElement("li");
    item.className = COLOURS[found.severity] ?? "";
    const moment = new Date(found.at).toISOString().slice(0, 19).replace("T", " ");
    const at = part("time", moment.slice(11));
    at.dateTime = found.at;
    at.title = `${moment} UTC`;
    item.append(at, " ", part("severity", found.severity), " ", part("program", found.program), " ", part("text", found.text));
    return item;
  }

  function beginOf(found) {
    const item = document.createElement("li");
    item.className = "begin";
    item.textContent = `A boot began at ${found.began_at.slice(0, 19).replace("T", " ")} UTC`;
    return item;
  }

  function add(item) {
    if (waiting.length === 0) requestAnimationFrame(show);
    waiting.push(item);
    if (waiting.length > MOST_LINES) waiting.splice(0, waiting.length - MOST_LINES);
  }

  function show() {
    added.push(...waiting);
    lines.append(...waiting);
    waiting = [];
    const tooMany = lines.children.length - MOST_LINES;
    for (let number = 0; number < tooMany; number++) lines.firstElementChild.remove();
    if (tooMany > 0) { added = added.slice(-MOST_LINES); cut.hidden = false; }
    lines.hidden = false;
    problem.hidden = true;
    if (follows) lines.scrollTop = lines.scrollHeight;
  }

  // A hidden page follows nothing: a browser opens six connections to one server, for all of its tabs.
  function connect() {
    if (stream !== null || document.hidden) return;
    const opened = new EventSource(log.dataset.follow);
    stream = opened;
    let isFirst = true;
    opened.addEventListener("open", () => {
      for (const item of added) item.remove();
      added = [];
      state.textContent = "live";
    });
    opened.addEventListener("boot", (event) => {
      if (!isFirst || lines.children.length === 0) add(beginOf(JSON.parse(event.data)));
      isFirst = false;
    });
    opened.addEventListener("line", (event) => add(lineOf(JSON.parse(event.data))));
    opened.addEventListener("error", () => {
      disconnect();
      state.textContent = "not live: the connection is lost; trying again";
      setTimeout(connect, RETRY_MS);
    });
  }

  function disconnect() {
    stream?.close();
    stream = null;
  }

  function setFollowing(wanted) {
    follows = wanted;
    button.setAttribute("aria-pressed", String(follows));
    if (follows) lines.scrollTop = lines.scrollHeight;
  }

  button.hidden = false;
  button.addEventListener("click", () => setFollowing(!follows));
  lines.addEventListener("scroll", () => {
    const isAtEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 24;
    if (follows !== isAtEnd) setFollowing(isAtEnd);
  });
  document.addEventListener("visibilitychange", () => { if (document.hidden) disconnect(); else connect(); });
  setFollowing(true);
  connect();
})();
