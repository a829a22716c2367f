
"use strict";
{
  const by = id => document.getElementById(id);
  const live = document.body.classList.contains("live");
  const KEPT_MS = 60_000, MOST_CHARS = 48e6, MOST_ROWS = 64, LISTED = 4, PAGE = 4096n;
  const VIEWS = ["family", "matrix", "ram"], viewed = () => VIEWS.find(one => !by(one).hidden);
  const tape = [];          // the states, oldest first: {n, when, at, parts}; what did not change is shared between them
  let size = 0;             // characters that changed in them
  let at = -1;              // the state that is shown
  let parts = {};           // its parts
  let slot = null;          // of the process that is chosen
  let asked = null;         // the address whose walk is shown, in hex
  let lit = null;           // the frame whose users are lit, in hex

  // Small things

  const hex = n => `0x${n.toString(16)}`;
  const rowsOf = (list, make) => list.map(one => make(one));

  function make(tag, settings, ...inside) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(settings)) made.setAttribute(name, value);
    made.append(...inside);
    return made;
  }

  function button(said, act, kind = "address", more = {}) {
    const made = make("button", {type: "button", class: kind, ...more}, said);
    made.addEventListener("click", act);
    return made;
  }

  const toFrame = (pa, said = pa) => button(said, () => light(page(pa)), "address", {"data-frame": page(pa)});
  const toWalk = va => button(va, () => walkTo(va));
  const page = address => hex(BigInt(address) & -PAGE);

  function table(caption, heads, rows) {
    const head = make("tr", {}, ...heads.map(said => make("th", {scope: "col"}, said)));
    const body = rows.map(({key, cells}) => make("tr", {"data-key": key}, ...cells.map(cell => make("td", {}, ...[cell].flat()))));
    return make("table", {}, make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...body));
  }

  // A text in which addresses of RAM lead to their frames.
  function linked(said) {
    return said.split(/(0x8[0-9a-f]{7,})\b/).map((piece, i) => i % 2 ? toFrame(piece) : piece);
  }

  // What replaces the content of a place; rows and groups that are new or say something else glow.
  function put(place, ...made) {
    const told = new Map([...place.querySelectorAll("[data-key]")].map(one => [one.dataset.key, one.textContent]));
    const focus = place.contains(document.activeElement) ? [...place.querySelectorAll("button, input, summary")].indexOf(document.activeElement) : -1;
    place.replaceChildren(...made);
    if (focus >= 0) place.querySelectorAll("button, input, summary")[focus]?.focus({preventScroll: true});
    if (told.size && place.dataset.of === String(slot))
      for (const one of place.querySelectorAll("[data-key]"))
        one.classList.toggle("glow", told.get(one.dataset.key) !== one.textContent);
    place.dataset.of = slot;
  }

  // The figures

  function draw(view) {
    const place = by(view), {svg, why} = parts[view];
    if (svg === undefined) return put(place, make("p", {}, why));
    const told = new Map([...place.querySelectorAll("svg [id]")].map(one => [one.id, one.textContent]));
    const box = document.createElement("template");
    box.innerHTML = svg;
    const groups = [...box.content.querySelectorAll("g[id]")].filter(one => told.size && told.get(one.id) !== one.textContent);
    for (const one of groups) if (!groups.some(other => other !== one && one.contains(other))) one.classList.add("glow");
    const old = place.querySelector("svg");
    if (old) old.replaceWith(box.content); else place.replaceChildren(make("figure", {}, box.content));
  }

  function clicked(event) {
    for (let one = event.target.closest("[id]"); one?.ownerSVGElement; one = one.parentElement.closest("[id]")) {
      const [, what, letter, which] = /^\w+-(process|page|edge|frame|at)-(?:([A-Z])-)?(.*)$/.exec(one.id) ?? [];
      if (what === "frame" || what === "at") return light(which);
      if (what === undefined) continue;
      choose(Number(which));
      const va = {F: parts.now.fry, S: parts.now.shrimp}[letter];
      if (va != null) walkTo(hex(va));
      return;
    }
  }

  // The chosen process

  const process = () => parts[`p:${slot}`];
  const leafAt = (of, va) => of.leaves.find(([first, , , n]) => va >= BigInt(first) && va < BigInt(first) + BigInt(n) * PAGE);

  function processes() {
    if (process() === undefined) slot = parts.order.at(-1)?.[0] ?? null;
    put(by("processes"), ...parts.order.map(([which, depth]) => {
      const one = parts[`p:${which}`];
      const made = button(make("span", {}, one.name), () => choose(which), "", {"aria-pressed": which === slot, "data-key": `p${which}`, "data-slot": which});
      made.append(make("span", {}, one.state));
      return make("li", {class: `d${Math.min(depth, 5)}`}, made);
    }));
  }

  // Neighbours of one kind as one run: [first leaf, pages, frames].
  function runs(leaves) {
    const found = [];
    for (const leaf of leaves) {
      const [va, pa, level, n, flags, , , region] = leaf, last = found.at(-1);
      if (last && last.region === region && last.flags === flags && last.level === level && last.end === BigInt(va)) {
        last.end += BigInt(n) * PAGE; last.n += n; last.frames.push(pa);
      } else found.push({va, level, n, flags, region, frames: [pa], end: BigInt(va) + BigInt(n) * PAGE});
    }
    return found;
  }

  function space(one) {
    const rows = runs(one.leaves).reverse().map(({va, n, flags, region, frames}) => ({key: va, cells: [
      toWalk(va), `${n}`, flags, region,
      [...frames.slice(0, LISTED).flatMap(pa => [toFrame(pa), " "]), frames.length > LISTED ? `and ${frames.length - LISTED} more` : ""]]}));
    put(by("space"), table(`${one.name}: ${one.sz.toLocaleString("en")} bytes`, ["Virtual address", "Pages", "Flags", "What", "Frames"], rows));
  }

  function tree(one) {
    const inside = (base, entry) => entry !== null && BigInt(entry) >= BigInt(base) && BigInt(entry) < BigInt(base) + PAGE;
    function entries(base) {
      const found = [...one.tables.filter(([, , entry]) => inside(base, entry)).map(([pa, level, entry, va, pte]) => [entry, () => {
        const made = make("details", {open: ""}, make("summary", {}, `${index(base, entry)}: L${level} table `, toFrame(pa), ` covers ${va}`), list(pa));
        return make("li", {"data-key": entry, title: `entry at ${entry} = ${pte}`}, made);
      }]), ...one.leaves.filter(leaf => inside(base, leaf[6])).map(([va, pa, , , flags, pte, entry, region]) => [entry, () =>
        make("li", {"data-key": entry, title: `entry at ${entry} = ${pte}`}, `${index(base, entry)}: ${flags} `, toFrame(pa), " ", toWalk(va), ` ${region}`)])];
      return found.sort((a, b) => Number(BigInt(a[0]) - BigInt(b[0])));
    }
    function list(base) {
      const found = entries(base), more = found.length - MOST_ROWS;
      const shown = found.slice(0, MOST_ROWS).map(([, item]) => item());
      return make("ul", {}, ...shown, ...more > 0 ? [make("li", {}, `and ${more} more entries`)] : []);
    }
    const index = (base, entry) => Number((BigInt(entry) - BigInt(base)) / 8n);
    put(by("table"), one.root === null ? make("p", {}, `${one.name} has no page table`) :
      make("div", {class: "tree"}, make("p", {}, `${one.name}: root table `, toFrame(one.root)), list(one.root)));
  }

  // The walk of `asked`, as Sv39 does it (RISC-V Privileged, 4.3.2, 4.4), through the tables and leaves that are known.
  function walk(one) {
    const field = make("input", {id: "va", "aria-label": "A virtual address", spellcheck: "false", value: asked ?? ""});
    const form = make("form", {class: "ask"}, field, button("Walk", () => walkTo(field.value.trim()), ""),
      ...["fry", "shrimp"].filter(name => parts.now[name] !== null).map(name => button(name.toUpperCase(), () => walkTo(hex(parts.now[name])), "")));
    form.addEventListener("submit", event => { event.preventDefault(); walkTo(field.value.trim()); });
    put(by("walk"), form, ...asked === null ? [make("p", {class: "quiet"}, "Choose an address, or type one.")] : walked(one));
  }

  function walked(one) {
    const va = BigInt(asked), rows = [];
    let base = one.root, said = null;
    for (let level = 2; base !== null && said === null; level--) {
      const i = va >> BigInt(12 + 9 * level) & 511n, entry = hex(BigInt(base) + 8n * i);
      const leaf = one.leaves.find(leaf => leaf[6] === entry), next = one.tables.find(table => table[2] === entry);
      const value = leaf ? leaf[5] : next ? next[4] : "";
      const meaning = leaf ? [`leaf ${leaf[4]} → `, toFrame(leaf[1])] : next ? ["pointer → table ", toFrame(next[0])] : "not valid";
      rows.push({key: `${level}`, cells: [`${level}`, `${i}`, entry, value, meaning]});
      if (leaf) said = ["PA ", toFrame(page(hex(BigInt(leaf[1]) + va - BigInt(leaf[0]))), hex(BigInt(leaf[1]) + va - BigInt(leaf[0]))), ` (${leaf[7]})`];
      else if (!next) said = `page fault: the level ${level} entry is not valid`;
      else base = next[0];
    }
    const fault = typeof said === "string" || said === null;
    return [table(`${one.name}: ${asked}`, ["Level", "Index", "Entry at", "Entry", "Meaning"], rows),
      make("p", {class: fault ? "fault" : "", "data-key": "end"}, ...[said ?? "there is no page table"].flat())];
  }

  // Frames

  function row(pa) {
    const of = BigInt(pa), chunk = parts[`f:${hex(of & ~0xfffffn)}`] ?? [];
    return chunk.find(([first, n]) => of >= BigInt(first) && of < BigInt(first) + BigInt(n) * PAGE);
  }

  function users() {
    if (lit === null) return put(by("frame"), make("p", {class: "quiet"}, "Choose a frame: all its users are lit."));
    const found = row(lit);
    const inside = found ? found[2].map(([said, pid, va]) => make("li", {"data-key": said}, pid === null ? said :
      button(said, () => { choose(slotOf(pid)); if (va !== null) walkTo(va); }))) : [make("li", {}, "nobody uses it")];
    const count = found?.[3] == null ? "" : `, the kernel counts ${found[3]}`;
    put(by("frame"), make("h2", {}, `Frame ${lit}${count}`), make("ul", {class: "users"}, ...inside));
  }

  const slotOf = pid => parts.order.map(([which]) => which).find(which => parts[`p:${which}`].pid === pid) ?? slot;

  function relight() {
    for (const one of document.querySelectorAll(".lit")) one.classList.remove("lit");
    if (lit === null) return;
    const found = [...document.querySelectorAll(`[data-frame="${lit}"]`)];
    for (const view of ["family", "matrix"]) found.push(by(`${view}-frame-${lit}`));
    const cells = [...document.querySelectorAll("#ram [id*='-at-']")].map(one => [BigInt(one.id.split("-").at(-1)), one]);
    found.push(cells.filter(([first]) => first <= BigInt(lit)).at(-1)?.[1]);
    for (const [, pid, va] of row(lit)?.[2] ?? []) {
      const which = slotOf(pid), letter = va === null ? "" : va === hex(parts.now.fry ?? -1) ? "F" : va === hex(parts.now.shrimp ?? -1) ? "S" : "";
      if (pid === null) continue;
      found.push(document.querySelector(`#processes [data-slot="${which}"]`));
      if (letter) found.push(by(`family-page-${letter}-${which}`), by(`family-edge-${letter}-${which}`));
    }
    for (const one of found) one?.classList.add("lit");
  }

  // What is chosen

  function light(pa) {
    lit = pa;
    users();
    relight();
    select("frame");
  }

  function choose(which) {
    slot = which;
    processes();
    ofProcess();
    relight();
  }

  function walkTo(va) {
    try {
      asked = hex(BigInt(va));
    } catch {
      by("va")?.setCustomValidity("an address such as 0x1000");
      by("va")?.reportValidity();
      return;
    }
    walk(process());
    select("walk");
    relight();
  }

  function ofProcess() {
    const one = process();
    if (one === undefined) {
      for (const id of ["space", "table", "walk"]) put(by(id), make("p", {class: "quiet"}, "There is no process."));
      return;
    }
    space(one);
    tree(one);
    if (!by("walk").contains(document.activeElement) || document.activeElement.id !== "va") walk(one);
  }

  // Tabs

  function select(name, focus = false) {
    const tab = by(`tab-${name}`);
    for (const one of tab.parentElement.children) {
      const is = one === tab;
      one.setAttribute("aria-selected", is);
      one.tabIndex = is ? 0 : -1;
      by(one.getAttribute("aria-controls")).hidden = !is;
    }
    if (focus) tab.focus();
  }

  for (const list of document.querySelectorAll("[role=tablist]")) {
    const tabs = [...list.children];
    list.addEventListener("click", event => { const tab = event.target.closest("[role=tab]"); if (tab) select(tab.id.slice(4)); });
    list.addEventListener("keydown", event => {
      const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
      if (step === undefined) return;
      const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
      select(next.id.slice(4), true);
      event.preventDefault();
    });
  }

  // What is said of the whole machine

  function lamp() {
    const {state, says, blocks} = parts.lamp;
    by("lamp").className = state;
    by("lamp").textContent = says;
    by("causes").className = state;
    by("causes").hidden = blocks.length === 0;
    put(by("causes").lastElementChild, ...rowsOf(blocks, block => make("pre", {}, ...linked(block))));
  }

  function step() {
    const place = by("step"), one = parts.step;
    place.hidden = one == null;
    if (one == null) return;
    put(place, make("h2", {}, one.title), make("p", {}, one.caption), make("p", {}, `${one.pairing[1]}: ${one.pairing[2]}`),
      make("p", {class: "quiet"}, [one.at, one.function && `${one.function}()`].filter(Boolean).join(" in ")),
      ...one.source ? [make("pre", {}, one.source)] : [],
      ...rowsOf(one.changes, said => make("pre", {"data-key": said}, ...linked(said))),
      ...one.more ? [make("p", {class: "quiet"}, `and ${one.more} more of the same kind`)] : []);
  }

  function machine() {
    put(by("harts"), ...parts.harts.map(([hart, pid, mode, where]) => make("li", {"data-key": hart},
      [`hart ${hart}`, pid === null ? "no process" : parts[`p:${slotOf(pid)}`]?.name ?? pid, mode && `${mode} mode`, where].filter(Boolean).join(", "))));
    if (!parts.harts.length) by("harts").append(make("li", {class: "quiet"}, "no hart runs a process"));
    const printed = parts.console;
    by("printed").hidden = printed === undefined;
    by("console").textContent = printed?.join("\n") ?? "";
    by("console").scrollTop = by("console").scrollHeight;
  }

  function line() {
    const one = parts.line ?? {};
    by("line").textContent = one.says ?? "";
    by("pause").hidden = one.paused === undefined;
    by("pause").textContent = one.paused ? "Continue" : "Pause";
  }

  // Time

  function show(i) {
    const before = parts;
    at = i;
    parts = tape[i].parts;
    line();
    if (parts.now === undefined) return;        // nothing is seen of a machine yet
    const differs = (...names) => names.some(name => parts[name] !== before[name]);
    if (differs("now")) {
      by("now").textContent = parts.now.stop;
      by("cautions").replaceChildren(...parts.now.cautions.map(said => make("li", {}, said)));
    }
    if (differs("lamp")) lamp();
    if (differs("step")) step();
    for (const view of VIEWS) if (differs(view)) draw(view);
    const people = Object.keys({...before, ...parts}).filter(name => name.startsWith("p:"));
    if (differs("order", ...people)) processes();
    if (differs(`p:${slot}`) || before.now === undefined) ofProcess();
    if (differs("harts", "console", "order")) machine();
    users();
    relight();
    clock();
  }

  function clock() {
    const {when, at: then, n} = tape[at], newest = at === tape.length - 1;
    by("time").max = tape.length - 1;
    by("time").value = at;
    by("when").textContent = !live ? when : newest ? "now" : `${((performance.now() - then) / 1000).toFixed(1)} s ago`;
    by("time").setAttribute("aria-valuetext", by("when").textContent);
    by("timeline").hidden = tape.length === 1;
    by("newest").hidden = !live || newest;
    by("keep-snapshot").href = `snapshot-${n}.json`;
  }

  const newest = () => at === tape.length - 1;

  function extend(change) {
    const follows = newest();
    const made = change.whole ? {...change.parts} : {...tape.at(-1)?.parts, ...change.parts};
    for (const name of change.gone) delete made[name];
    const own = Object.values(change.parts).reduce((sum, part) => sum + (part?.svg ?? part?.why ?? "").length, 1000);
    size += own;
    tape.push({n: change.n, when: change.when, at: performance.now(), parts: made, size: own});
    while (live && tape.length > 2 && (tape[0].at < performance.now() - KEPT_MS || size > MOST_CHARS)) { size -= tape.shift().size; at--; }
    if (follows) show(tape.length - 1); else if (at < 0) show(0); else clock();
  }

  function act(name) {
    fetch(name, {method: "POST"}).then(answer => answer.text()).then(said => { if (said) by("line").textContent = said; }, lost);
  }

  const lost = () => { if (!parts.line?.over) by("line").textContent = "The server does not answer: this is what it told last."; };

  by("time").addEventListener("input", () => show(Number(by("time").value)));
  by("newest").addEventListener("click", () => show(tape.length - 1));
  by("pause").addEventListener("click", () => act(parts.line.paused ? "continue" : "pause"));
  for (const view of VIEWS) by(view).addEventListener("click", clicked);

  by("keep").hidden = false;
  for (const id of ["keep-snapshot", "keep-film"]) by(id).hidden = !live;
  by("keep-film").href = "film.html";
  for (const kind of ["svg", "png", "pdf"])
    by(`keep-${kind}`).addEventListener("click", () => {
      const view = viewed(), svg = parts[view].svg;
      if (svg !== undefined) keeping[kind](svg, view);
    });
  by("keep-dot").addEventListener("click", () => {
    const view = viewed();
    if (parts[view].svg !== undefined) keeping.dot(VIEWS.length * at + VIEWS.indexOf(view), view);
  });

  by("keep-file").hidden = !live;
  for (const kind of ["svg", "png", "pdf"]) by(`keep-${kind}`).hidden = live;
  by("keep-dot").hidden = by("dots") === null;
  by("keep-it").addEventListener("click", () => {
    const name = `${by("which").value}.${by("kind").value}`, ask = asked === null ? "" : asked;
    fetch(`figure-${tape[at].n}-${name}?slot=${slot ?? 0}&va=${ask}`).then(
      answer => answer.ok ? answer.blob().then(blob => keeping.save(blob, blob.type, name))
        : answer.text().then(said => { by("line").textContent = said; }), lost);
  });

  const keys = {
    1: () => select("family"), 2: () => select("matrix"), 3: () => select("ram"),
    j: () => neighbour(1), k: () => neighbour(-1),
    ArrowLeft: () => at > 0 && show(at - 1), ArrowRight: () => !newest() && show(at + 1), End: () => show(tape.length - 1),
    Home: () => show(0), " ": () => !by("pause").hidden && by("pause").click(), Escape: () => { lit = null; users(); relight(); },
  };

  function neighbour(step) {
    const order = parts.order.map(([which]) => which), next = order[order.indexOf(slot) + step];
    if (next !== undefined) choose(next);
  }

  document.addEventListener("keydown", event => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    if (event.target.closest("input, select, pre") || event.key === " " && event.target.closest("button, a, summary")) return;
    if (event.key.startsWith("Arrow") && event.target.closest("[role=tabpanel]")) return;    // it may scroll
    if (!(event.key in keys)) return;
    keys[event.key]();
    event.preventDefault();
  });

  for (const change of JSON.parse(by("tape").textContent)) extend(change);
  if (!live) show(0);
  if (live) {
    const events = new EventSource("events");
    events.addEventListener("message", event => extend(JSON.parse(event.data)));
    events.addEventListener("error", lost);
    setInterval(() => { if (parts.now !== undefined) clock(); }, 1000);
  }
}
