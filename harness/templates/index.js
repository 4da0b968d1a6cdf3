"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const runs = JSON.parse($("data").textContent);
  for (const element of all(".js")) element.hidden = false;

  // Filters.
  const rows = [...$("list").rows];
  const filter = () => {
    const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdicts = all(".show:checked").map((box) => box.value);
    let count = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !verdicts.includes(row.className) || !words.every((word) => text.includes(word));
      if (!row.hidden) count += 1;
    }
    $("count").textContent = `${count} of ${rows.length}`;
  };
  $("filter").addEventListener("input", filter);
  for (const box of all(".show")) box.addEventListener("change", filter);
  filter();

  // Two runs side by side. Text from reports only ever becomes text nodes.
  const make = (name, text = "", className = "") => {
    const element = document.createElement(name);
    element.textContent = text;
    if (className) element.className = className;
    return element;
  };
  const row = (...cells) => {
    const element = make("tr");
    element.append(...cells);
    return element;
  };
  const seconds = (value) => (value === undefined ? "-" : value.toFixed(1));
  const change = (a, b) => {
    if (a === undefined || b === undefined) return make("td", "", "n");
    const by = b - a;
    const percent = a > 0 && Math.abs(by) >= 0.1 ? ` (${by >= 0 ? "+" : ""}${((by / a) * 100).toFixed(0)} %)` : "";
    const matters = Math.abs(by) >= 0.5 && Math.abs(by) >= 0.1 * a;
    return make("td", `${by >= 0 ? "+" : ""}${by.toFixed(1)}${percent}`, `n ${matters ? (by > 0 ? "slower" : "faster") : ""}`);
  };
  const bars = (a, b, most) => {
    const cell = make("td", "", "bars");
    for (const [value, name] of [[a, "a"], [b, "b"]]) {
      const bar = make("i", "", name);
      bar.style.width = `${((value ?? 0) / most) * 100}%`;
      cell.append(bar);
    }
    return cell;
  };
  // The stages of both in the order of the chain.
  const stageNames = (a, b) => {
    const names = a.stages.map(([name]) => name);
    let place = 0;
    for (const [name] of b.stages) {
      const at = names.indexOf(name);
      if (at >= 0) place = at + 1;
      else names.splice(place++, 0, name);
    }
    return names;
  };
  const link = (run, name) => {
    const cell = make("th", "", "n");
    const anchor = make("a", name);
    anchor.href = `${run.folder}/report.html`;
    cell.append(anchor, make("small", ` ${run.scenario} on ${run.board}, ${run.name}, ${run.verdict}`));
    return cell;
  };
  const parts = (a, b) => {
    // Of some names there are two: one for the board, one for this machine.
    const key = ([name, , digest]) => `${name} ${digest}`;
    const without = (run, other) => {
      const there = new Set(other.parts.map(key));
      return run.parts.filter((part) => !there.has(key(part)));
    };
    const added = without(b, a);
    const show = (part) => (part ? `${part[1]} ${part[2].slice(0, 12)}` : "-");
    const line = (name, x, y) => row(make("td", name), make("td", show(x)), make("td", show(y)));
    const rows = [];
    const gone = without(a, b).filter((part) => {
      const at = added.findIndex(([name]) => name === part[0]);
      if (at >= 0) rows.push(line(part[0], part, added.splice(at, 1)[0]));
      return at < 0;
    });
    rows.push(...gone.slice(0, 5).map((part) => line(part[0], part)), ...added.slice(0, 5).map((part) => line(part[0], undefined, part)));
    // What a given image or initramfs takes the place of is a crowd.
    for (const [crowd, place] of [[gone, 1], [added, 2]]) {
      if (crowd.length <= 5) continue;
      const cells = [`${crowd.length - 5} more`, "-", "-"];
      cells[place] = crowd.slice(5).map(([name]) => name).join(", ");
      rows.push(row(...cells.map((text) => make("td", text))));
    }
    return rows;
  };
  const compare = () => {
    const [a, b] = ["a", "b"].map((side) => runs[document.querySelector(`input[name=${side}]:checked`)?.value]);
    if (!a || !b) {
      $("comparison").replaceChildren(make("p", "Choose a run as A and one as B in the list above.", "hint"));
      return;
    }
    const took = (run, name) => run.stages.find(([stage]) => stage === name)?.[1];
    const names = stageNames(a, b);
    const most = Math.max(0.1, ...names.flatMap((name) => [took(a, name) ?? 0, took(b, name) ?? 0]));
    const table = make("table");
    const head = make("thead");
    head.append(row(make("th", "stage"), link(a, "A"), link(b, "B"), make("th", "B − A", "n"), make("th", "")));
    const body = make("tbody");
    const line = (name, x, y, scale) => row(make("td", name), make("td", seconds(x), "n"), make("td", seconds(y), "n"), change(x, y), scale ? bars(x, y, scale) : make("td"));
    for (const name of names) body.append(line(name, took(a, name), took(b, name), most));
    body.append(line("whole, s", a.whole, b.whole), line("CPU of the emulator, s", a.cpu, b.cpu));
    table.append(head, body);
    const different = parts(a, b);
    const partsTable = make("table");
    if (different.length) {
      const partsHead = make("thead");
      partsHead.append(row(make("th", "part that differs"), make("th", "A"), make("th", "B")));
      const partsBody = make("tbody");
      partsBody.append(...different);
      partsTable.append(partsHead, partsBody);
    }
    $("comparison").replaceChildren(table, different.length ? partsTable : make("p", "Both were made of the same parts.", "hint"));
    history.replaceState(null, "", `#compare=${encodeURIComponent(a.folder)},${encodeURIComponent(b.folder)}`);
  };
  for (const radio of all("input[type=radio]")) radio.addEventListener("change", compare);

  // What to compare comes from the address, or is the newest run and the one of its kind before it.
  const choose = (side, index) => {
    const radio = document.querySelector(`input[name=${side}][value="${index}"]`);
    if (radio) radio.checked = true;
  };
  const wanted = decodeURIComponent(location.hash).match(/^#compare=(.*),(.*)$/);
  if (wanted) {
    choose("a", runs.findIndex((run) => run.folder === wanted[1]));
    choose("b", runs.findIndex((run) => run.folder === wanted[2]));
    compare();
    $("compare").scrollIntoView();
  } else {
    const same = (run, n) => n > 0 && run.scenario === runs[0].scenario && run.board === runs[0].board;
    const before = runs.findIndex(same);
    if (before > 0) {
      choose("a", before);
      choose("b", 0);
    }
    const address = location.href;
    compare();
    history.replaceState(null, "", address);
  }
})();
