
"use strict";
{
  const steps = [...document.querySelectorAll(".step")];
  const links = new Map([...document.querySelectorAll("nav a")].map(a => [a.hash.slice(1), a]));
  const by = id => document.getElementById(id);
  const play = by("play"), label = play.querySelector("span"), nav = document.querySelector("nav");
  const title = document.title;
  let at = -1;              // index of the step that is shown
  let timer = null;         // of the step that comes next, while playing
  let missed = null;        // the number of a step that the address names and that is not there

  // The step that the address names: itself, or what is inside it; of a number beyond the last, the last.
  function named() {
    if (location.hash === "") return 0;
    const beyond = /^#step-(\d+)$/.exec(location.hash), found = document.getElementById(location.hash.slice(1))?.closest(".step");
    missed = found === undefined && beyond !== null && Number(beyond[1]) > steps.length ? beyond[1] : null;
    return missed !== null ? steps.length - 1 : steps.indexOf(found);
  }

  function show(i) {
    by("note").textContent = missed === null ? "" : `There is no step ${missed}: this is the last.`;
    missed = null;
    if (i === at) return;
    steps[at]?.classList.remove("current");
    links.get(steps[at]?.id)?.removeAttribute("aria-current");
    at = i;
    const step = steps[i], link = links.get(step.id);
    step.classList.add("current");
    link.setAttribute("aria-current", "step");
    if (nav.scrollHeight > nav.clientHeight) {
      const above = link.offsetTop - nav.scrollTop;
      if (above < 0 || above + link.offsetHeight > nav.clientHeight)
        nav.scrollTop = link.offsetTop - nav.clientHeight / 3;
    }
    by("position").textContent = `${i + 1} of ${steps.length}`;
    by("progress").value = i + 1;
    for (const id of ["first", "previous"]) by(id).setAttribute("aria-disabled", i === 0);
    for (const id of ["next", "last"]) by(id).setAttribute("aria-disabled", i === steps.length - 1);
    document.title = `${i + 1}. ${step.querySelector("h2").textContent} · ${title}`;
  }

  function announce() {
    const step = steps[at];
    by("announcement").textContent =
      `Step ${at + 1} of ${steps.length}: ${step.querySelector("h2").textContent}. ${step.querySelector(".caption").textContent}`;
  }

  // A step that is out of sight, such as above the list that led to it, is brought back.
  function bring() {
    const box = steps[at].getBoundingClientRect();
    if (box.bottom < 80 || box.top > innerHeight - 80) steps[at].scrollIntoView();
  }

  function go(i, replace) {
    if (i < 0 || i >= steps.length || i === at) return;
    history[replace ? "replaceState" : "pushState"](null, "", `#${steps[i].id}`);
    show(i);
    announce();
    bring();
  }

  function pause() {
    clearTimeout(timer);
    timer = null;
    play.classList.remove("playing");
    label.textContent = "Play";
  }

  function wait() {
    timer = setTimeout(() => {
      go(at + 1, true);
      if (at === steps.length - 1) pause(); else wait();
    }, 1000 * by("seconds").value);
  }

  function toggle() {
    if (timer !== null) return pause();
    if (at === steps.length - 1) go(0);
    if (steps.length === 1) return;
    play.classList.add("playing");
    label.textContent = "Pause";
    wait();
  }

  const acts = {
    first: () => go(0), previous: () => go(at - 1), next: () => go(at + 1), last: () => go(steps.length - 1),
  };
  for (const [id, act] of Object.entries(acts)) by(id).addEventListener("click", () => { pause(); act(); });
  play.addEventListener("click", toggle);
  by("seconds").addEventListener("change", () => { if (timer !== null) { clearTimeout(timer); wait(); } });

  function fullScreen() {
    const page = document.documentElement;
    (document.fullscreenElement ? document.exitFullscreen() : page.requestFullscreen()).catch(
      error => { by("announcement").textContent = by("note").textContent = `Full screen is refused: ${error.message}`; });
  }

  by("full").hidden = !document.fullscreenEnabled;
  by("full").addEventListener("click", fullScreen);
  document.addEventListener("fullscreenchange", () => {
    by("full").querySelector("span").textContent = document.fullscreenElement ? "Leave full screen" : "Full screen";
  });

  // A finger that goes sideways, and is not moving what scrolls under it.
  let touched = null;
  document.addEventListener("touchstart", event => {
    const scroll = event.target.closest?.(".scroll"), {clientX, clientY} = event.touches[0];
    touched = event.touches.length === 1 && !(scroll && scroll.scrollWidth > scroll.clientWidth) ? [clientX, clientY] : null;
  }, {passive: true});
  document.addEventListener("touchend", event => {
    if (touched === null) return;
    const {clientX, clientY} = event.changedTouches[0], across = clientX - touched[0];
    const isSideways = Math.abs(across) > 50 && Math.abs(across) > 2 * Math.abs(clientY - touched[1]);
    touched = null;
    if (!isSideways) return;
    pause();
    acts[across < 0 ? "next" : "previous"]();
  });

  const keys = {ArrowLeft: "previous", ArrowRight: "next", PageUp: "previous", PageDown: "next", Home: "first", End: "last"};
  document.addEventListener("keydown", event => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const focus = event.target;
    if (focus.closest("select, input, textarea")) return;
    if (event.key === " " && !focus.closest("button, a, summary")) toggle();
    else if (event.key.toLowerCase() === "f") fullScreen();
    else if (event.key in keys && !scrolls(focus, event.key)) { pause(); acts[keys[event.key]](); }
    else return;
    event.preventDefault();
  });

  // Arrows belong to a focused region that has something out of sight sideways.
  function scrolls(focus, key) {
    const region = focus.closest(".scroll");
    return region !== null && key.startsWith("Arrow") && region.scrollWidth > region.clientWidth;
  }

  addEventListener("hashchange", () => {
    const i = named();
    if (i < 0 || i === at && missed === null) return;
    pause();
    show(i);
    announce();
    bring();
  });

  // How tall the words above the picture are at most, for the style to leave that room in every step.
  function measure() {
    const root = document.documentElement;
    root.classList.add("measured");
    const heights = steps.map(step => step.querySelector(".words").getBoundingClientRect().height);
    root.classList.remove("measured");
    root.style.setProperty("--words", `${Math.ceil(Math.max(...heights))}px`);
  }

  for (const kind of ["svg", "png", "pdf"])
    by(`keep-${kind}`).addEventListener("click", () => keeping[kind](steps[at].querySelector("figure svg").outerHTML, `step-${at + 1}`));
  by("keep-dot").addEventListener("click", () => keeping.dot(at, `step-${at + 1}`));
  by("keep").hidden = false;

  document.documentElement.classList.add("scripted");
  measure();
  addEventListener("resize", measure);
  document.querySelector(".controls").hidden = false;
  show(Math.max(named(), 0));
  by("announcement").textContent = by("note").textContent;
}
