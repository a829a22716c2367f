
"use strict";
// What pages that hold scenes share: a figure that is shown, kept as a file.
const keeping = {
  save(data, kind, name) {
    const url = URL.createObjectURL(new Blob([data], {type: kind})), link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    URL.revokeObjectURL(url);
  },

  // shown: the text of an svg element. As a document: the root, and its size in CSS pixels.
  document(shown) {
    const root = new DOMParser().parseFromString(shown.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '), "image/svg+xml");
    const [, , width, height] = root.documentElement.getAttribute("viewBox").split(" ").map(points => Math.ceil(points * 96 / 72));
    return {text: new XMLSerializer().serializeToString(root), width, height};
  },

  svg(shown, name) {
    keeping.save(keeping.document(shown).text, "image/svg+xml", `${name}.svg`);
  },

  async png(shown, name) {
    const {text, width, height} = keeping.document(shown), image = new Image(), canvas = document.createElement("canvas");
    image.src = `data:image/svg+xml,${encodeURIComponent(text)}`;
    await image.decode();
    [canvas.width, canvas.height] = [2 * width, 2 * height];
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob(made => keeping.save(made, "image/png", `${name}.png`));
  },

  // A browser writes PDF only by its print dialogue: it gets a paper of the figure's size with nothing else on it. In a frame that is
  // not allowed dialogues (an editor's browser, a results page) print() does nothing, and no event comes.
  pdf(shown, name) {
    const {width, height} = keeping.document(shown), {title} = document, only = document.createElement("figure"), sheet = new CSSStyleSheet();
    sheet.replaceSync(`@media print { @page { size: ${width}px ${height}px; margin: 0; } body > :not(#only) { display: none !important; }
      html, body, #only { margin: 0; padding: 0; border: 0; } #only { display: block; }
      #only svg { display: block; width: ${width}px; height: ${height - 1}px; max-width: none; } }
      @media screen { #only { display: none; } }`);
    only.id = "only";
    only.innerHTML = shown;
    document.body.append(only);
    document.adoptedStyleSheets.push(sheet);
    document.title = name;      // what the dialogue proposes as the file's name
    const printing = new AbortController(), {signal} = printing, gone = () => {
      printing.abort();
      only.remove();
      document.adoptedStyleSheets.pop();
      document.title = title;
    };
    let asked = false;
    addEventListener("beforeprint", () => { asked = true; }, {signal});
    addEventListener("afterprint", gone, {signal});
    print();
    if (asked || window === top) return;
    gone();
    Object.assign(document.getElementById("keep-pdf"), {disabled: true, textContent: "PDF: in a window of its own"});
  },

  // The text of DOT number n, of those that web.packed() wrote.
  async dot(n, name) {
    const bytes = Uint8Array.from(atob(document.getElementById("dots").textContent), c => c.charCodeAt(0));
    const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const [lines, texts] = JSON.parse(await new Response(inflated).text());
    keeping.save(texts[n].map(i => lines[i]).join("\n"), "text/vnd.graphviz", `${name}.dot`);
  },
};
