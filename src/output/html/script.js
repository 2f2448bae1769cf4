"use strict";
// Filters and sorts what the page shows. Its state is behind the "#", so that a link to it can be mailed.
(() => {
  const make = (name, properties = {}) => Object.assign(document.createElement(name), properties);
  const theme = make("button", { className: "theme", type: "button", textContent: "Light or dark" });
  theme.onclick = () => {
    const root = document.documentElement;
    const dark = root.className ? root.className === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.className = dark ? "light" : "dark";
  };
  document.querySelector("header").append(theme);

  const clipboard = navigator.clipboard;
  for (const pre of clipboard ? document.querySelectorAll("pre") : []) {
    const copy = make("button", { type: "button", textContent: "copy" });
    copy.onclick = () => clipboard.writeText(pre.textContent).then(() => { copy.textContent = "copied"; });
    pre.after(copy);
  }
  addEventListener("beforeprint", () => document.querySelectorAll(".workload").forEach((it) => { it.open = true; }));

  const table = document.querySelector(".matrix");
  if (!table) return;
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const names = heads.map((it) => it.textContent);
  const FIRST = 5;
  const rows = [...body.rows].map((row, place) => {
    const link = row.cells[0].firstChild;
    const section = document.getElementById(decodeURIComponent(link.hash.slice(1)));
    const small = link.querySelector("small");
    return {
      row, place, section, text: null,
      namespace: small ? small.textContent : "",
      fate: row.cells[2].textContent,
      cells: [...row.cells].map((it) => it.textContent),
    };
  });

  const filter = document.getElementById("filter");
  const fields = {};
  const field = (key, label, input) => {
    input.id = "f-" + key;
    filter.append(make("label", { htmlFor: input.id, textContent: label }), input);
    fields[key] = input;
  };
  const choice = (key, label, options) => {
    const select = make("select");
    select.append(new Option("all", ""), ...options.map(([value, text]) => new Option(text, value)));
    field(key, label, select);
  };
  const distinct = (of) => [...new Set(rows.map(of))].sort().map((it) => [it, it || "(none)"]);
  field("q", "text", make("input", { type: "search" }));
  choice("namespace", "namespace", distinct((it) => it.namespace).filter(([it]) => it));
  choice("fate", "fate", distinct((it) => it.fate));
  choice("control", "control", names.slice(FIRST).map((it) => [it, it]));
  choice("mode", "mode", [["E", "enforce"], ["P", "Pods rejected"], ["W", "warn"], ["A", "audit"]]);
  field("new", "new only", make("input", { type: "checkbox" }));
  const told = make("output");
  const reset = make("button", { type: "button", textContent: "Show all" });
  filter.append(reset, told);
  filter.hidden = false;

  let sorted = "", down = false;
  const compare = (one, two) => {
    const at = names.indexOf(sorted);
    if (at < 0) return one.place - two.place;
    const [a, b] = [one.cells[at], two.cells[at]];
    let order;
    if (at === 3 || at === 4) order = Number(a.replaceAll(",", "")) - Number(b.replaceAll(",", ""));
    else if (at >= FIRST) order = " AWPE".indexOf(a[0] || " ") - " AWPE".indexOf(b[0] || " ");
    else order = a < b ? -1 : a > b ? 1 : 0;
    return (down ? -order : order) || one.place - two.place;
  };
  const value = (key) => key === "new" ? (fields.new.checked ? "1" : "") : fields[key].value;
  const breaks = (it) => {
    const [control, mode, fresh] = [value("control"), value("mode"), value("new")];
    if (!control && !mode && !fresh) return true;
    return it.cells.some((cell, at) => at >= FIRST && cell && (!control || names[at] === control)
      && (!mode || cell[0] === mode) && (!fresh || cell.includes("*")));
  };
  const matches = (it) => {
    const q = value("q").toLowerCase();
    if (value("namespace") && it.namespace !== value("namespace")) return false;
    if (value("fate") && it.fate !== value("fate")) return false;
    if (!breaks(it)) return false;
    if (!q) return true;
    it.text ??= (it.cells.slice(0, FIRST).join(" ") + " " + it.section.textContent).toLowerCase();
    return it.text.includes(q);
  };
  const show = () => {
    let shown = 0;
    for (const it of rows) {
      const is = matches(it);
      it.row.hidden = it.section.hidden = !is;
      shown += is;
    }
    told.textContent = `${shown} of ${rows.length} workloads`;
    body.append(...[...rows].sort(compare).map((it) => it.row));
    heads.forEach((it, at) => names[at] === sorted
      ? it.setAttribute("aria-sort", down ? "descending" : "ascending") : it.removeAttribute("aria-sort"));
  };
  const remember = () => {
    const state = new URLSearchParams();
    for (const key in fields) if (value(key)) state.set(key, value(key));
    if (sorted) state.set("sort", (down ? "-" : "") + sorted);
    history.replaceState(null, "", "#?" + state);
    show();
  };
  const recall = () => {
    if (location.hash.startsWith("#?")) {
      const state = new URLSearchParams(location.hash.slice(2));
      for (const key in fields) {
        if (key === "new") fields.new.checked = state.has("new");
        else fields[key].value = state.get(key) ?? "";
      }
      const sort = state.get("sort") ?? "";
      down = sort.startsWith("-");
      sorted = down ? sort.slice(1) : sort;
      show();
    } else if (location.hash) {
      const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
      if (target && target.className === "workload") {
        target.hidden = false;
        target.open = true;
        target.scrollIntoView();
      }
    }
  };
  heads.forEach((head, at) => {
    const button = make("button", { type: "button" });
    button.append(...head.childNodes);
    button.onclick = () => {
      down = sorted === names[at] ? !down : at >= 3;
      sorted = names[at];
      remember();
    };
    head.append(button);
  });
  filter.addEventListener("input", remember);
  reset.onclick = () => {
    for (const key in fields) { fields[key].value = ""; fields[key].checked = false; }
    sorted = "";
    remember();
  };
  addEventListener("hashchange", recall);
  show();
  recall();
})();
