// The handbook's search: each word that is typed must begin a word of a section. Sections whose heading has them come first.
"use strict";
(() => {
  const {sections, words} = window.HANDBOOK, vocabulary = Object.keys(words), most = 20;
  const root = document.documentElement.dataset.root;
  const [box, count, list] = ["search", "count", "found"].map(id => document.getElementById(id));

  const typed = () => box.value.toLowerCase().match(/[\p{L}\p{N}_]+(-[\p{L}\p{N}_]+)*/gu) || [];
  const withWord = begin => new Set(vocabulary.filter(word => word.startsWith(begin)).flatMap(word => words[word]));

  function matching(begins) {
    const sets = begins.map(withWord);
    const inHeading = n => begins.filter(begin => (sections[n][1] + " " + sections[n][2]).toLowerCase().includes(begin)).length;
    return [...sets[0]].filter(n => sets.every(set => set.has(n))).map(n => [inHeading(n), n])
      .sort((a, b) => b[0] - a[0] || a[1] - b[1]).map(pair => pair[1]);
  }

  function item(n) {
    const [address, page, heading, beginning] = sections[n];
    const made = document.createElement("li"), link = document.createElement("a"), text = document.createElement("p");
    link.href = root + address;
    link.textContent = page === heading ? page : `${page}: ${heading}`;
    text.textContent = beginning;
    made.append(link, text);
    return made;
  }

  function show() {
    const begins = typed(), found = begins.length ? matching(begins) : [];
    list.replaceChildren(...found.slice(0, most).map(item));
    count.textContent = !begins.length ? "" : !found.length ? `Nothing has ${begins.join(" and ")}. Try fewer letters.`
      : found.length > most ? `${most} of ${found.length} sections` : found.length === 1 ? "1 section" : `${found.length} sections`;
  }

  box.closest("search").hidden = false;
  box.addEventListener("input", show);
  document.addEventListener("keydown", event => {
    if (event.key === "/" && document.activeElement !== box && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      box.focus();
    } else if (event.key === "Escape" && box.value) {
      box.value = "";
      show();
      box.focus();
    } else if (event.key === "Enter" && document.activeElement === box) list.querySelector("a")?.click();
  });
  show();
})();
