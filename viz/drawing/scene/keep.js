
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

  svg(shown, name) {
    const root = new DOMParser().parseFromString(shown.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '), "image/svg+xml");
    keeping.save(new XMLSerializer().serializeToString(root), "image/svg+xml", `${name}.svg`);
  },

  // The text of DOT number n, of those that web.packed() wrote.
  async dot(n, name) {
    const bytes = Uint8Array.from(atob(document.getElementById("dots").textContent), c => c.charCodeAt(0));
    const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const [lines, texts] = JSON.parse(await new Response(inflated).text());
    keeping.save(texts[n].map(i => lines[i]).join("\n"), "text/vnd.graphviz", `${name}.dot`);
  },
};
