// What the pages do beyond links and forms. Without it a search works all the same.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const form = byId("search");
  const picture = byId("picture");
  const input = byId("image");
  // Pixels that the sides of a picture keep, as on the server.
  const LONGER_SIDE = 1024;
  const SHORTER_SIDE = 512;
  const DEFAULTS = { level: "segment", twins: "fold" };
  // What is kept until the next page; nothing where the browser lets no page keep anything.
  const kept = {
    get: (name) => {
      try {
        return sessionStorage.getItem(name);
      } catch {
        return null;
      }
    },
    set: (name, value) => {
      try {
        if (value === null) sessionStorage.removeItem(name);
        else sessionStorage.setItem(name, value);
      } catch {}
    },
  };

  // The form: a short address, and a search as soon as something is chosen.

  if (form) {
    for (const button of document.querySelectorAll("[data-without-script]")) button.hidden = true;
    form.addEventListener("formdata", ({ formData }) => {
      for (const [name, value] of [...formData]) {
        if (name.startsWith("f.")) continue; // of a facet, which may have an empty text as a value
        if (value === "" || DEFAULTS[name] === value) formData.delete(name);
      }
    });
    document.addEventListener("change", ({ target }) => {
      if (!target.matches("[data-now]") || !(form.q.value || form.v || form.like)) return;
      kept.set("focus", JSON.stringify([target.name, target.value]));
      form.requestSubmit();
    });
    // After going back the controls are those of the address, as it is read again.
    const came = performance.getEntriesByType("navigation")[0]?.type;
    addEventListener("pageshow", ({ persisted }) => {
      if (persisted || came === "back_forward") form.reset();
    });
    const focused = JSON.parse(kept.get("focus") || "null");
    kept.set("focus", null);
    if (focused) {
      const same = [...form.elements].filter((one) => one.name === focused[0]);
      const control = same.find((one) => one.value === focused[1]) || same[0];
      const options = control?.closest("details");
      if (options) options.open = true;
      control?.focus({ preventScroll: true });
    }
  }

  // A picture: chosen, pasted, dropped, or a frame. Made smaller here, as models look at small ones.

  const canvasOf = (source, width, height, longer, shorter) => {
    const parts = [longer / Math.max(width, height), shorter / Math.min(width, height)];
    const scale = Math.min(1, Math.max(...parts));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
    return canvas;
  };
  // JPEG makes black of what is transparent; the server knows better.
  const typeOf = (canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    for (let at = 3; at < data.length; at += 4) if (data[at] < 255) return "image/png";
    return "image/jpeg";
  };
  const toBlob = (canvas, type) =>
    new Promise((done, failed) => {
      canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error("no picture"))), type, 0.92);
    });

  const send = async (blob, label) => {
    let file = blob;
    try {
      const bitmap = await createImageBitmap(blob);
      const { width, height } = bitmap;
      const smaller = canvasOf(bitmap, width, height, LONGER_SIDE, SHORTER_SIDE);
      file = await toBlob(smaller, typeOf(smaller));
      kept.set("picture", canvasOf(bitmap, width, height, 96, 0).toDataURL(file.type));
    } catch {
      kept.set("picture", null); // a format that only the server knows, perhaps
    }
    const files = new DataTransfer();
    files.items.add(new File([file], "picture", { type: file.type }));
    input.files = files.files;
    picture.elements.label.value = label;
    picture.submit();
  };

  if (picture) {
    for (const button of document.querySelectorAll("[data-pick]")) {
      button.hidden = false;
      button.addEventListener("click", () => input.click());
    }
    input.addEventListener("change", () => {
      if (input.files.length) send(input.files[0], input.files[0].name);
    });
    const isPicture = (file) => file.type.startsWith("image/");
    document.addEventListener("paste", ({ clipboardData }) => {
      // Office programs add a picture of a text; a copied picture or file has one of the two.
      if (["text/plain", "text/html"].every((type) => clipboardData?.getData(type))) return;
      const file = [...(clipboardData?.files || [])].find(isPicture);
      if (file) send(file, "pasted");
    });
    document.addEventListener("dragover", (event) => {
      if (event.dataTransfer.types.includes("Files")) event.preventDefault();
    });
    document.addEventListener("drop", (event) => {
      const file = [...event.dataTransfer.files].find(isPicture);
      if (!file) return;
      event.preventDefault();
      send(file, file.name);
    });
    for (const chip of document.querySelectorAll("[data-picture]")) {
      const key = `picture:${chip.dataset.picture}`;
      const sent = kept.get("picture");
      // One that has a picture already was not sent now, and what was sent did not get here.
      if (sent && !kept.get(key)) kept.set(key, sent);
      kept.set("picture", null);
      const small = kept.get(key);
      if (!small) continue;
      const image = new Image();
      image.alt = "";
      image.src = small;
      chip.prepend(image);
    }
  }

  // Cards without a picture show the frame itself, once they come into view.

  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      const still = document.createElement("video");
      still.muted = still.playsInline = true;
      still.preload = "metadata";
      still.tabIndex = -1;
      still.addEventListener("loadeddata", () => target.replaceWith(still), { once: true });
      still.src = target.dataset.still;
    }
  });
  document.querySelectorAll("[data-still]").forEach((blank) => seen.observe(blank));

  // The player.

  const player = byId("player");
  if (!player || !player.showModal) return;
  const screen = byId("screen");
  const drawing = byId("drawing");
  const told = byId("told");
  const moments = byId("player-moments");
  const frameButton = player.querySelector("[data-frame]");
  const boxButton = player.querySelector("[data-box]");
  let card = null;
  let box = null; // x, y, width, height as shares of the frame

  const seek = (seconds) => {
    screen.currentTime = seconds;
    screen.play().catch(() => {}); // a browser may want a click on the player itself
  };
  const open = (chosen, seconds) => {
    card = chosen;
    byId("player-title").textContent = card.dataset.title;
    player.querySelector("[data-like]").href = card.dataset.like;
    moments.replaceChildren(...[...card.querySelectorAll(".moments li")].map((li) => li.cloneNode(true)));
    told.textContent = "";
    draw(false);
    screen.src = `${card.dataset.source}#t=${seconds}`;
    player.showModal();
    seek(seconds);
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-play]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const seconds = Number(link.dataset.play);
    if (player.contains(link)) {
      draw(false);
      seek(seconds);
    } else {
      open(link.closest(".card"), seconds);
    }
  });
  screen.addEventListener("timeupdate", () => {
    const links = [...moments.querySelectorAll("[data-play]")];
    const now = links.filter((one) => Number(one.dataset.play) <= screen.currentTime + 0.05).pop();
    for (const one of links) {
      if (one === now) one.setAttribute("aria-current", "true");
      else one.removeAttribute("aria-current");
    }
  });
  const REASONS = {
    0: "The server does not answer. Try again in a moment.",
    401: "You are signed out. Load this page anew to sign in.",
    503: "The server cannot read this video now. Try again in a moment.",
  };
  const reasonOf = async (source) => {
    // A byte, as the answer may be the whole video.
    const headers = { accept: "application/problem+json", range: "bytes=0-0" };
    const answer = await fetch(source, { headers, redirect: "manual" }).catch(() => ({ status: 0 }));
    if (answer.type === "opaqueredirect") return ""; // it lies elsewhere
    if (answer.ok || REASONS[answer.status]) return REASONS[answer.status];
    const { detail } = await answer.json().catch(() => ({}));
    return detail && `${detail[0].toUpperCase()}${detail.slice(1)}.`;
  };
  screen.addEventListener("error", async () => {
    const source = screen.getAttribute("src");
    if (!source) return;
    const reason = await reasonOf(source);
    if (screen.getAttribute("src") !== source) return;
    told.textContent = reason || "This video cannot be played here: its file cannot be read, or its format is none that this browser plays.";
  });
  player.querySelector("[data-close]").addEventListener("click", () => player.close());
  player.addEventListener("click", (event) => {
    if (event.target === player) player.close();
  });
  player.addEventListener("close", () => {
    screen.removeAttribute("src");
    screen.load();
  });

  // A frame of it, or a box drawn on the frame.

  const content = () => {
    // Where the picture lies within the player, which adds bars at its sides.
    const { clientWidth, clientHeight, videoWidth, videoHeight } = screen;
    const scale = Math.min(clientWidth / videoWidth, clientHeight / videoHeight) || 0;
    const width = videoWidth * scale;
    const height = videoHeight * scale;
    return { x: (clientWidth - width) / 2, y: (clientHeight - height) / 2, width, height };
  };
  const paint = () => {
    const { clientWidth, clientHeight } = screen;
    drawing.width = clientWidth;
    drawing.height = clientHeight;
    const pen = drawing.getContext("2d");
    const at = content();
    const [x, y, width, height] = [at.x + box[0] * at.width, at.y + box[1] * at.height, box[2] * at.width, box[3] * at.height];
    pen.fillStyle = "rgb(0 0 0 / 55%)";
    pen.fillRect(0, 0, clientWidth, clientHeight);
    pen.clearRect(x, y, width, height);
    pen.strokeStyle = "#ffa468";
    pen.lineWidth = 2;
    pen.strokeRect(x, y, width, height);
  };
  function draw(on) {
    drawing.hidden = !on;
    boxButton.textContent = on ? "The whole frame" : "Search by a part of it";
    frameButton.textContent = on ? "Search by this part" : "Search by this frame";
    box = on ? [0.25, 0.25, 0.5, 0.5] : null;
    if (!on) {
      told.textContent = "";
      return;
    }
    screen.pause();
    told.textContent = "Draw a box on the picture. With the keyboard: arrows move it, with Shift they size it.";
    paint();
    drawing.focus();
  }
  const limited = (value, least, most) => Math.max(least, Math.min(most, value));
  const hasFrame = () => {
    // Why there is none stays to be read.
    if (!screen.videoWidth) told.textContent ||= "There is no frame yet.";
    return screen.videoWidth > 0;
  };
  boxButton.addEventListener("click", () => hasFrame() && draw(drawing.hidden));
  let corner = null;
  const share = (event) => {
    const at = content();
    const outer = drawing.getBoundingClientRect();
    return [
      limited((event.clientX - outer.left - at.x) / at.width, 0, 1),
      limited((event.clientY - outer.top - at.y) / at.height, 0, 1),
    ];
  };
  drawing.addEventListener("pointerdown", (event) => {
    corner = share(event);
    drawing.setPointerCapture(event.pointerId);
  });
  drawing.addEventListener("pointermove", (event) => {
    if (!corner) return;
    const [x, y] = share(event);
    const [width, height] = [Math.abs(x - corner[0]), Math.abs(y - corner[1])];
    if (width < 0.02 || height < 0.02) return;
    box = [Math.min(x, corner[0]), Math.min(y, corner[1]), width, height];
    paint();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    drawing.addEventListener(name, () => (corner = null));
  }
  drawing.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    for (const axis of [0, 1]) {
      const by = step[axis] * 0.04;
      if (event.shiftKey) box[axis + 2] = limited(box[axis + 2] + by, 0.05, 1 - box[axis]);
      else box[axis] = limited(box[axis] + by, 0, 1 - box[axis + 2]);
    }
    paint();
  });
  addEventListener("resize", () => box && paint());

  frameButton.addEventListener("click", async () => {
    screen.pause();
    const { videoWidth, videoHeight, currentTime } = screen;
    const [x, y, width, height] = box || [0, 0, 1, 1];
    if (!hasFrame()) return;
    const whole = document.createElement("canvas");
    whole.width = Math.max(1, Math.round(width * videoWidth));
    whole.height = Math.max(1, Math.round(height * videoHeight));
    whole.getContext("2d").drawImage(screen, -x * videoWidth, -y * videoHeight);
    const time = `${Math.floor(currentTime / 60)}:${String(Math.floor(currentTime % 60)).padStart(2, "0")}`;
    try {
      await send(await toBlob(whole, "image/jpeg"), `${box ? "part of " : ""}${card.dataset.title} at ${time}`);
    } catch {
      // The video lies on another server, which lets no page read its frames.
      if (box) {
        draw(false);
        told.textContent = "This video lies on another server, whose frames cannot be read here. The whole moment can be searched by.";
        return;
      }
      location.assign(`${card.dataset.like}&at=${currentTime.toFixed(3)}`);
    }
  });
})();
