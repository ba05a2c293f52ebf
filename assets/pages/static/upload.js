// Uploads an ISO, an image, an archive or images by tus 1.0.0: in pieces, with progress, pause, and resume.
//
// The URL of an unfinished upload is kept in the browser by the file's name, size and date, so that the same file
// continues where it was: after a lost connection by itself, after a reload when the operator chooses it again.
"use strict";

(() => {
  const URL_OF_UPLOADS = "/api/v1/uploads";
  const PIECE_BYTES = 32 * 1024 * 1024;
  const RETRIES_MS = [1000, 2000, 4000, 8000, 15000, 30000]; // the last one again and again
  const KEPT = "netboot-upload ";
  // What a file is by its name, the first that fits; the operator can choose another kind. Only the import knows.
  const KINDS = [[/\.iso$/i, "iso"], [/-ostree\.tar$/i, "archive"], [/ock.*\.tar$/i, "image"], [/\.(tar|tgz|tar\.(gz|zst|xz)|oci)$/i, "images"]];
  const ENTRY_NAME = "[A-Za-z0-9][A-Za-z0-9._\\-]*";
  const IMAGE_NAME = "[a-z0-9][A-Za-z0-9.:\\/_\\-]*";
  const zone = document.getElementById("upload");
  const input = document.getElementById("upload-file");
  const kindField = document.getElementById("upload-kind");
  const nameField = document.getElementById("upload-name");
  const start = document.getElementById("upload-start");
  const shown = document.getElementById("upload-progress");
  let chosen = null;
  let running = null;

  class Refused extends Error {}

  function headers(more = {}) {
    const csrf = document.body.dataset.csrf;
    return { "Tus-Resumable": "1.0.0", ...(csrf ? { "X-CSRF-Token": csrf } : {}), ...more };
  }

  const keyOf = (file) => `${KEPT}${file.name} ${file.size} ${file.lastModified}`;
  const kindOf = (file) => KINDS.find(([pattern]) => pattern.test(file.name))?.[1];
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  function proposedName(file) {
    return file.name.replace(/\.tar$/i, "").replace(/-ostree$/, "").replace(/[^A-Za-z0-9._-]/g, "-");
  }

  // An archive and an OCK image become a release, which is named after the file. An ISO has a name in it, and so have
  // images; of a single one without a name, the name of the image is sent.
  function chooseKind() {
    const kind = kindField.value;
    const isRelease = kind === "archive" || kind === "image";
    nameField.required = isRelease;
    nameField.placeholder = isRelease ? "" : "as in the file";
    nameField.pattern = kind === "images" ? IMAGE_NAME : ENTRY_NAME;
    nameField.maxLength = kind === "images" ? 383 : 63;
    nameField.value = isRelease && chosen ? proposedName(chosen) : "";
  }

  function encoded(metadata) {
    const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
    return Object.entries(metadata).filter(([, text]) => text).map(([key, text]) => `${key} ${base64(text)}`).join(",");
  }

  async function sentence(answer) {
    try { return (await answer.json()).error; } catch { return `the daemon answered ${answer.status}`; }
  }

  function choose(file) {
    if (running || !file) return;
    chosen = null;
    start.disabled = true;
    const kind = kindOf(file);
    if (!kind) {
      show(`${file.name} is neither an ISO (.iso) nor an image or archive (.tar, .tgz, .oci).`, "bad");
      return;
    }
    chosen = file;
    kindField.value = kind;
    chooseKind();
    const isKnown = localStorage.getItem(keyOf(file)) !== null;
    start.disabled = false;
    start.textContent = isKnown ? "Continue the upload" : "Upload";
    show(`${file.name}, ${size(file.size)}`, "plain");
    start.focus();
  }

  async function begin(file) {
    const known = localStorage.getItem(keyOf(file));
    if (known) {
      const answer = await fetch(known, { method: "HEAD", headers: headers(), credentials: "same-origin" });
      if (answer.ok && Number(answer.headers.get("Upload-Offset")) < file.size) return known;
      if (!answer.ok && answer.status !== 404) throw new Refused(`the daemon answered ${answer.status}`);
    }
    const metadata = encoded({ kind: kindField.value, [kindField.value === "images" ? "image" : "name"]: nameField.value.trim(), filename: file.name });
    const answer = await fetch(URL_OF_UPLOADS, { method: "POST", headers: headers({ "Upload-Length": String(file.size), "Upload-Metadata": metadata }), credentials: "same-origin" });
    if (!answer.ok) throw new Refused(await sentence(answer));
    const url = answer.headers.get("Location");
    localStorage.setItem(keyOf(file), url);
    return url;
  }

  // Sends one piece; resolves with the new offset.
  function send(upload, offset) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      upload.request = request;
      request.open("PATCH", upload.url);
      const fields = headers({ "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" });
      for (const [name, value] of Object.entries(fields)) request.setRequestHeader(name, value);
      request.upload.onprogress = (event) => { upload.sent = offset + event.loaded; draw(upload); };
      request.onload = () => {
        if (request.status === 204) { resolve(Number(request.getResponseHeader("Upload-Offset"))); return; }
        let text = `the daemon answered ${request.status}`;
        try { text = JSON.parse(request.responseText).error; } catch { /* no JSON */ }
        const isLasting = request.status >= 400 && ![408, 409, 502, 503, 504].includes(request.status);
        reject(isLasting ? new Refused(text) : new Error(text));
      };
      request.onerror = () => reject(new Error("the daemon does not answer"));
      request.onabort = () => reject(new Error("paused"));
      request.send(upload.file.slice(offset, offset + PIECE_BYTES));
    });
  }

  async function offsetOf(upload) {
    const answer = await fetch(upload.url, { method: "HEAD", headers: headers(), credentials: "same-origin" });
    if (answer.status === 404) {
      localStorage.removeItem(keyOf(upload.file));
      throw new Refused("the daemon has no such upload any longer; choose the file again to begin another");
    }
    if (answer.status === 401 || answer.status === 403) throw new Refused("log in again, then choose the file again to continue");
    if (!answer.ok) throw new Error(`the daemon answered ${answer.status}`);
    return Number(answer.headers.get("Upload-Offset"));
  }

  async function run(upload) {
    let failures = 0;
    upload.isPaused = false;
    upload.begunAt = performance.now();
    upload.begunBytes = null;
    while (!upload.isPaused) {
      try {
        let offset = await offsetOf(upload);
        upload.begunBytes ??= offset;
        upload.trouble = "";
        while (offset < upload.file.size && !upload.isPaused) {
          offset = await send(upload, offset);
          upload.sent = offset;
          failures = 0;
          draw(upload);
        }
        if (offset >= upload.file.size) { finish(upload); return; }
      } catch (error) {
        if (upload.isPaused) break;
        if (error instanceof Refused) { fail(upload, error.message); return; }
        const delay = RETRIES_MS[Math.min(failures++, RETRIES_MS.length - 1)];
        upload.trouble = `${error.message}; trying again`;
        upload.begunAt = performance.now() + delay;
        upload.begunBytes = null;
        draw(upload);
        await wait(delay);
      }
    }
    draw(upload);
  }

  function finish(upload) {
    localStorage.removeItem(keyOf(upload.file));
    reset();
    show(`${upload.file.name} is received; its import is shown below.`, "good");
    hideOwn();
  }

  function fail(upload, why) {
    reset();
    show(`${upload.file.name} is not uploaded: ${why}`, "bad");
    hideOwn();
  }

  function reset() {
    running = chosen = null;
    input.value = "";
    input.disabled = kindField.disabled = nameField.disabled = false;
    chooseKind();
    start.disabled = true;
    start.textContent = "Upload";
  }

  // The daemon may still receive the piece that was interrupted, and refuses with 409 until it has noticed that.
  async function discard(url, key) {
    localStorage.removeItem(key);
    for (const delay of [0, ...RETRIES_MS]) {
      await wait(delay);
      const answer = await fetch(url, { method: "DELETE", headers: headers(), credentials: "same-origin" }).catch(() => null);
      if (answer && answer.status !== 409) return;
    }
  }

  function show(text, kind) {
    const line = document.createElement("p");
    line.textContent = text;
    if (kind !== "plain") line.className = `notice ${kind}`;
    shown.replaceChildren(line);
  }

  function button(label, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = label;
    made.addEventListener("click", act);
    return made;
  }

  // The row of the upload is made once, so that a button keeps the focus while the numbers change.
  function draw(upload) {
    if (running !== upload) return;
    if (!upload.row) {
      const row = document.createElement("div");
      row.className = "work";
      const line = document.createElement("div");
      line.className = "work-line";
      const name = document.createElement("strong");
      name.textContent = upload.file.name;
      upload.toggle = button("Pause", () => toggle(upload));
      const cancel = button("Cancel the upload", async () => {
        upload.isPaused = true;
        upload.request?.abort();
        reset();
        await discard(upload.url, keyOf(upload.file));
        show(`The upload of ${upload.file.name} is cancelled.`, "info");
      });
      upload.bar = document.createElement("progress");
      upload.bar.max = 100;
      upload.bar.setAttribute("aria-label", `upload of ${upload.file.name}`);
      upload.text = document.createElement("p");
      upload.text.className = "small muted";
      line.append(name, upload.toggle, cancel);
      row.append(line, upload.bar, upload.text);
      upload.row = row;
      shown.replaceChildren(row);
    }
    const percent = Math.floor((upload.sent * 100) / upload.file.size);
    upload.bar.value = percent;
    upload.toggle.textContent = upload.isPaused ? "Resume" : "Pause";
    const parts = [`${percent} %`, `${size(upload.sent)} of ${size(upload.file.size)}`];
    const seconds = (performance.now() - upload.begunAt) / 1000;
    if (upload.isPaused) parts.push("paused");
    else if (upload.trouble) parts.push(upload.trouble);
    else if (seconds > 1 && upload.begunBytes !== null && upload.sent > upload.begunBytes) {
      const rate = (upload.sent - upload.begunBytes) / seconds;
      parts.push(`${size(rate)}/s`, `${duration((upload.file.size - upload.sent) / rate)} left`);
    }
    upload.text.textContent = parts.join(" · ");
  }

  function toggle(upload) {
    if (upload.isPaused) { run(upload); draw(upload); return; }
    upload.isPaused = true;
    upload.request?.abort();
    draw(upload);
  }

  function size(bytes) {
    for (const [unit, name] of [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) if (bytes >= unit) return `${(bytes / unit).toFixed(bytes >= 10 * unit ? 0 : 1)} ${name}`;
    return `${Math.round(bytes)} B`;
  }

  function duration(seconds) {
    return seconds >= 90 ? `${Math.round(seconds / 60)} min` : `${Math.ceil(seconds)} s`;
  }

  // The page also shows what the daemon has of this upload; once is enough.
  function hideOwn() {
    const own = running ? `upload-${running.url.split("/").pop()}` : "";
    for (const each of document.querySelectorAll("#content-work article[id^=upload-]")) each.hidden = each.id === own;
  }

  async function listUnfinished() {
    const kept = Object.keys(localStorage).filter((key) => key.startsWith(KEPT));
    const answer = kept.length ? await fetch(URL_OF_UPLOADS, { credentials: "same-origin" }).catch(() => null) : null;
    if (!answer?.ok) return;
    const open = new Map((await answer.json()).filter((each) => each.state === "receiving").map((each) => [`${URL_OF_UPLOADS}/${each.id}`, each]));
    for (const key of kept) {
      const url = localStorage.getItem(key);
      const upload = open.get(url);
      if (!upload) { localStorage.removeItem(key); continue; }
      const line = document.createElement("p");
      line.className = "notice info";
      const name = key.slice(KEPT.length).split(" ").slice(0, -2).join(" ");
      line.append(`The upload of ${name} is not complete: ${size(upload.offset)} of ${size(upload.length)} are on the appliance. Choose the same file again to continue.`);
      shown.append(line);
    }
  }

  async function startUpload() {
    if (running || !chosen || !nameField.reportValidity()) return;
    const upload = { file: chosen, url: "", sent: 0, trouble: "", isPaused: false, begunAt: performance.now(), begunBytes: null };
    running = upload;
    input.disabled = kindField.disabled = nameField.disabled = start.disabled = true;
    try {
      upload.url = await begin(upload.file);
    } catch (error) {
      fail(upload, error instanceof Refused ? error.message : "the daemon does not answer");
      return;
    }
    draw(upload);
    hideOwn();
    await run(upload);
  }

  input.addEventListener("change", () => choose(input.files[0]));
  kindField.addEventListener("change", chooseKind);
  start.addEventListener("click", startUpload);
  zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    choose(event.dataTransfer.files[0]);
  });
  document.addEventListener("netboot:updated", hideOwn);
  window.addEventListener("beforeunload", (event) => { if (running && !running.isPaused) event.preventDefault(); });
  zone.hidden = false;
  listUnfinished();
})();
