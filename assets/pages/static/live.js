// Keeps a page as the daemon has it, without a reload.
//
// An event of the daemon, and every three seconds while something has `data-running`, fetches the page again.
// Elements with an id and `data-live` are replaced if they changed; in an element with `data-live-list`, children
// are added, removed and put in order by their ids. An element with `data-live-key` is replaced when its key changes:
// it shows something else then. What the operator selects, opens, focuses and types stays.
"use strict";

(() => {
  const SETTLE_MS = 300;
  const RUNNING_MS = 3000;
  const RETRY_MS = 2000;
  const SILENT_MS = 40000; // the daemon sends a comment every 15 s
  const banner = document.getElementById("connection");
  let asOf = new Date();
  let after = document.body.dataset.lastEvent ?? "";
  let timer = null;
  let fetching = false;
  let again = false;
  let lastTookMs = 0;
  let stopFollowing = () => {};

  function schedule(delay = SETTLE_MS) {
    if (timer === null) timer = setTimeout(refresh, Math.max(delay, 2 * lastTookMs));
  }

  async function refresh() {
    timer = null;
    if (document.hidden) return;
    if (fetching) { again = true; return; }
    fetching = true;
    const begun = performance.now();
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
      if (answer.redirected && new URL(answer.url).pathname === "/login") { location.reload(); return; }
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        update(fresh);
        asOf = new Date();
        banner.hidden = true;
      } else {
        lost(`the daemon answered ${answer.status}`);
      }
    } catch {
      lost("the daemon does not answer");
    } finally {
      fetching = false;
      lastTookMs = performance.now() - begun;
      if (again) { again = false; schedule(); }
    }
  }

  function update(fresh) {
    for (const old of document.querySelectorAll("[data-live-key]")) {
      const other = fresh.getElementById(old.id);
      if (other && other.dataset.liveKey !== old.dataset.liveKey) replace(old, other);
    }
    for (const list of document.querySelectorAll("[data-live-list]")) {
      const other = fresh.getElementById(list.id);
      if (other) updateList(list, other);
    }
    for (const old of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(old.id);
      if (other && !old.closest("[data-live-list]")) replace(old, other);
    }
    document.dispatchEvent(new CustomEvent("netboot:updated"));
  }

  function updateList(list, fresh) {
    const old = new Map([...list.children].map((child) => [child.id, child]));
    const shown = [...fresh.children].map((child) => {
      const known = child.id ? old.get(child.id) : undefined;
      old.delete(child.id);
      return known ? replace(known, child) : document.importNode(child, true);
    });
    for (const gone of old.values()) gone.remove();
    shown.forEach((child, index) => {
      if (list.children[index] !== child) list.insertBefore(child, list.children[index] ?? null);
    });
  }

  // Replaces `old` if its source changed, and returns what is in the page now.
  function replace(old, fresh) {
    const source = fresh.outerHTML;
    const before = old.netbootSource ?? old.outerHTML;
    if (before === source) return old;
    if (isTyping(old)) return old;
    const shown = document.importNode(fresh, true);
    keep(old, shown);
    const focused = old.contains(document.activeElement) ? keyOf(document.activeElement) : null;
    old.replaceWith(shown);
    shown.netbootSource = source;
    if (focused) [...shown.querySelectorAll("a, button, input, select, summary, [tabindex]")].find((each) => keyOf(each) === focused)?.focus();
    return shown;
  }

  function isTyping(element) {
    const active = document.activeElement;
    return element.contains(active) && active.matches("input:not([type=checkbox]):not([type=radio]), textarea, select");
  }

  function keep(old, shown) {
    const opened = new Map([...old.querySelectorAll("details[id]")].map((each) => [each.id, each.open]));
    for (const each of shown.querySelectorAll("details[id]")) if (opened.has(each.id)) each.open = opened.get(each.id);
    const typed = new Map([...old.querySelectorAll("input[id]:not([type=file])")].filter((each) => each.value !== each.defaultValue).map((each) => [each.id, each.value]));
    for (const each of shown.querySelectorAll("input[id]")) if (typed.has(each.id)) each.value = typed.get(each.id);
    const checked = new Map([...old.querySelectorAll("input[type=checkbox]")].map((each) => [keyOf(each), each.checked]));
    for (const each of shown.querySelectorAll("input[type=checkbox]")) if (checked.has(keyOf(each))) each.checked = checked.get(keyOf(each));
  }

  function keyOf(element) {
    return element.id || (element.hasAttribute("tabindex") && element.getAttribute("aria-label")) || `${element.tagName} ${element.name ?? ""} ${element.value ?? ""} ${element.getAttribute("href") ?? ""} ${element.textContent}`;
  }

  function lost(why) {
    const at = asOf.toISOString().slice(11, 19);
    banner.textContent = `Connection lost: ${why}. The page shows the state of ${at} UTC. Trying again.`;
    banner.hidden = false;
  }

  // Server-sent events have names here, and EventSource requires a listener for each; so the stream is read as text.
  // A hidden page follows nothing: browsers open at most six connections to a server.
  async function follow() {
    for (;;) {
      while (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
      const controller = new AbortController();
      stopFollowing = () => controller.abort();
      let alarm = setTimeout(() => controller.abort(), SILENT_MS);
      try {
        const query = after ? `?after=${after}` : "";
        const answer = await fetch(`/api/v1/events${query}`, { credentials: "same-origin", signal: controller.signal });
        if (answer.status === 401) { location.reload(); return; }
        if (!answer.ok) throw new Error(`the daemon answered ${answer.status}`);
        schedule(0); // what happened before this stream
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        for (let rest = ""; ;) {
          const { value, done } = await reader.read();
          if (done) break;
          clearTimeout(alarm);
          alarm = setTimeout(() => controller.abort(), SILENT_MS);
          const lines = (rest + value).split("\n");
          rest = lines.pop();
          for (const line of lines) {
            if (line.startsWith("id: ")) after = line.slice(4);
            if (line.startsWith("data: ")) schedule();
          }
        }
        throw new Error("the daemon closed the connection");
      } catch (error) {
        if (document.hidden) continue;
        lost(error.name === "AbortError" || error instanceof TypeError ? "the daemon does not answer" : error.message);
      } finally {
        clearTimeout(alarm);
        controller.abort();
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  setInterval(() => { if (document.querySelector("[data-running]")) schedule(0); }, RUNNING_MS);
  document.addEventListener("visibilitychange", () => { if (document.hidden) stopFollowing(); });
  follow();
})();
