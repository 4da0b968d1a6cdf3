"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  for (const element of all(".js")) element.hidden = false;

  // The command to run it again.
  $("copy").addEventListener("click", async () => {
    const text = $("command").textContent;
    try {
      await navigator.clipboard.writeText(text);
      $("copy").textContent = "Copied";
    } catch {
      // Pages from a file may not use the clipboard: select the text instead.
      getSelection().selectAllChildren($("command"));
      $("copy").textContent = "Selected";
    }
  });

  // A line of the console that is pointed at shows its time in the waterfall.
  const list = document.querySelector(".console");
  const chart = document.querySelector(".chart");
  const length = Number(chart.dataset.length);
  const point = (element) => {
    const line = element.closest("[data-t]");
    if (line) chart.style.setProperty("--cursor", `${(Number(line.dataset.t) / length) * 100}%`);
  };
  list.addEventListener("pointerover", (event) => point(event.target));
  list.addEventListener("focusin", (event) => point(event.target));
  addEventListener("hashchange", () => {
    const target = document.querySelector(":target");
    if (target) point(target);
  });

  // Search.
  const lines = [...list.children];
  const texts = lines.map((line) => line.lastElementChild.textContent.toLowerCase());
  let matches = [];
  let current = -1;
  const show = () => {
    for (const line of all(".console .hit")) line.classList.remove("hit");
    const line = matches[current];
    if (line) {
      line.classList.add("hit");
      line.scrollIntoView({ block: "nearest" });
      point(line);
    }
    $("found").textContent = !$("find").value ? "" : matches.length ? `${current + 1} of ${matches.length}` : "no match";
  };
  const rangesIn = (line, wanted) => {
    const found = [];
    // A match may lie across pieces of several colours.
    const walker = document.createTreeWalker(line.lastElementChild, NodeFilter.SHOW_TEXT);
    const nodes = [];
    let text = "";
    while (walker.nextNode()) {
      nodes.push([text.length, walker.currentNode]);
      text += walker.currentNode.data.toLowerCase();
    }
    const place = (offset, end) => {
      const [start, node] = nodes.findLast(([start]) => (end ? start < offset : start <= offset));
      return [node, Math.min(offset - start, node.length)];
    };
    for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
      const range = document.createRange();
      range.setStart(...place(at, false));
      range.setEnd(...place(at + wanted.length, true));
      found.push(range);
    }
    return found;
  };
  const search = () => {
    const wanted = $("find").value.toLowerCase();
    for (const line of matches) line.classList.remove("match");
    matches = wanted ? lines.filter((line, n) => texts[n].includes(wanted) && line.offsetParent) : [];
    for (const line of matches) line.classList.add("match");
    if (window.Highlight && CSS.highlights) {
      CSS.highlights.set("found", new Highlight(...matches.flatMap((line) => rangesIn(line, wanted))));
    }
    current = matches.length ? 0 : -1;
    show();
  };
  const step = (by) => {
    if (matches.length) current = (current + by + matches.length) % matches.length;
    show();
  };
  $("find").addEventListener("input", search);
  $("find").addEventListener("keydown", (event) => {
    if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") {
      $("find").value = "";
      search();
      $("find").blur();
    }
  });
  $("next").addEventListener("click", () => step(1));
  $("previous").addEventListener("click", () => step(-1));
  for (const box of all(".tools input[type=checkbox]")) box.addEventListener("change", search);

  // Keys.
  const names = all("a.name");
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    if (event.key === "/") {
      event.preventDefault();
      $("find").focus();
      $("console").scrollIntoView();
    } else if (event.key === "n" || event.key === "N") {
      step(event.key === "n" ? 1 : -1);
    } else if (event.key === "j" || event.key === "k") {
      const at = names.indexOf(document.activeElement);
      const next = at < 0 ? 0 : at + (event.key === "j" ? 1 : -1);
      names[Math.max(0, Math.min(names.length - 1, next))]?.focus();
    }
  });
})();
