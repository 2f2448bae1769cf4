"use strict";
// Filters and sorts what the page shows. Its state is behind the "#", so that a link to it can be mailed.
(() => {
  const make = (name, properties = {}) => Object.assign(document.createElement(name), properties);
  const button = (textContent, onclick) => make("button", { type: "button", textContent, onclick });
  const theme = button("light / dark", () => {
    const root = document.documentElement;
    const dark = root.className ? root.className === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.className = dark ? "light" : "dark";
  });
  theme.className = "theme";
  document.querySelector("header").append(theme);

  const table = document.querySelector(".matrix");
  if (!table) return;
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const names = heads.map((it) => it.textContent);
  const FIRST = 5;
  const rows = [...body.rows].map((row, place) => {
    const link = row.cells[0].firstChild;
    const small = link.querySelector("small");
    return {
      row, place, section: document.getElementById(link.hash.slice(1)), text: null, found: null,
      namespace: small ? small.textContent : "",
      fate: row.cells[2].textContent,
      cells: [...row.cells].map((it) => it.textContent),
    };
  });
  // What it breaks, a row of its section each; read when it is first asked for.
  const found = (it) => it.found ??= [...it.section.querySelectorAll(".findings > tbody > tr")].map((row) => {
    const head = row.cells[0];
    return { row, control: head.querySelector("span").textContent, mode: head.querySelector("b").className, fresh: !!head.querySelector("em") };
  });

  const filter = document.getElementById("filter");
  const fields = {};
  const field = (key, text, input) => {
    const label = make("label", { textContent: text });
    label.append(input);
    filter.append(label);
    fields[key] = input;
  };
  const choice = (key, text, options) => {
    const select = make("select");
    select.append(new Option("all", ""), ...options.map(([value, text]) => new Option(text, value)));
    field(key, text, select);
  };
  const distinct = (of) => [...new Set(rows.map(of))].sort().map((it) => [it, it || "(none)"]);
  field("q", "text", make("input", { type: "search" }));
  choice("namespace", "namespace", distinct((it) => it.namespace).filter(([it]) => it));
  choice("fate", "fate", distinct((it) => it.fate));
  choice("control", "control", names.slice(FIRST).map((it) => [it, it]));
  choice("mode", "mode", [["e", "enforce"], ["p", "Pods rejected"], ["w", "warn"], ["a", "audit"]]);
  field("new", "new only", make("input", { type: "checkbox" }));
  fields.new.parentNode.hidden = !rows.some((it) => it.cells.some((cell, at) => at >= FIRST && cell.includes("*")));
  const told = make("output");
  const value = (key) => key === "new" ? (fields.new.checked ? "1" : "") : fields[key].value;
  const clear = () => {
    for (const key in fields) { fields[key].value = ""; fields[key].checked = false; }
  };
  const reset = button("show all", () => { clear(); sorted = ""; remember(); });
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
  const show = () => {
    const q = value("q").toLowerCase();
    const [namespace, fate, control, mode, fresh] = ["namespace", "fate", "control", "mode", "new"].map(value);
    const some = control || mode || fresh;
    const wanted = (it) => (!control || it.control === control) && (!mode || it.mode === mode) && (!fresh || it.fresh);
    let shown = 0;
    for (const it of rows) {
      let is = (!namespace || it.namespace === namespace) && (!fate || it.fate === fate);
      if (is && some) is = found(it).some(wanted);
      if (is && q) {
        it.text ??= (it.cells.slice(0, FIRST).join(" ") + " " + it.section.textContent).toLowerCase();
        is = it.text.includes(q);
      }
      it.row.hidden = it.section.hidden = !is;
      shown += is;
      if (!is || !(some || it.found)) continue;
      let part = false;
      for (const one of found(it)) part = (one.row.hidden = !wanted(one)) || part;
      it.section.classList.toggle("part", part);
    }
    for (const row of document.querySelectorAll(".ladder > tbody > tr")) {
      row.hidden = namespace && row.cells[0].textContent !== namespace;
    }
    const by = [q && `text ${q}`, namespace && `namespace ${namespace}`, fate && `fate ${fate}`, control && `control ${control}`,
      mode && `mode ${fields.mode.selectedOptions[0].textContent}`, fresh && "new only"].filter(Boolean).join(", ");
    told.textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} workloads${by && ": " + by}`;
    heads.forEach((it, at) => names[at] === sorted
      ? it.setAttribute("aria-sort", down ? "descending" : "ascending") : it.removeAttribute("aria-sort"));
  };
  let order = sorted + down;
  const sort = () => {
    if (order === sorted + down) return;
    order = sorted + down;
    body.append(...[...rows].sort(compare).map((it) => it.row));
  };
  const remember = () => {
    const state = new URLSearchParams();
    for (const key in fields) if (value(key)) state.set(key, value(key));
    if (sorted) state.set("sort", (down ? "-" : "") + sorted);
    const text = String(state);
    history.replaceState(null, "", text ? "#?" + text : "#");
    show();
    sort();
  };
  const recall = () => {
    if (location.hash.startsWith("#?")) {
      const state = new URLSearchParams(location.hash.slice(2));
      for (const key in fields) {
        if (key === "new") fields.new.checked = state.has("new");
        else fields[key].value = state.get(key) ?? "";
      }
      const by = state.get("sort") ?? "";
      down = by.startsWith("-");
      sorted = down ? by.slice(1) : by;
    }
    show();
    sort();
    const target = document.getElementById(location.hash.slice(1));
    const section = target && target.closest(".workload");
    if (section) {
      target.hidden = section.hidden = false;
      section.open = true;
      target.scrollIntoView({ block: "nearest" });
    }
  };
  heads.forEach((head, at) => {
    const it = button("", () => {
      down = sorted === names[at] ? !down : at >= 3;
      sorted = names[at];
      remember();
    });
    it.append(...head.childNodes);
    head.append(it);
  });
  for (const it of document.querySelectorAll(".tally span")) {
    if (rows.some((row) => row.fate === it.textContent)) it.replaceWith(button(it.textContent, () => {
      clear();
      fields.fate.value = it.textContent;
      remember();
      document.getElementById("matrix").scrollIntoView();
    }));
  }
  filter.addEventListener("input", remember);
  addEventListener("hashchange", recall);

  const sections = rows.map((it) => it.section);
  const all = button("open all", () => {
    const open = all.textContent === "open all";
    for (const it of sections) if (!it.hidden) it.open = open;
    all.textContent = open ? "close all" : "open all";
  });
  document.querySelector("#workloads > h2").after(all);
  // A copy of a fix, offered where somebody looks.
  for (const it of navigator.clipboard ? sections : []) {
    it.addEventListener("toggle", () => {
      for (const pre of it.querySelectorAll("pre")) {
        const copy = button("copy", () => navigator.clipboard.writeText(pre.textContent).then(
          () => { copy.textContent = "copied"; }, () => { copy.textContent = "no access"; }));
        pre.after(copy);
      }
    }, { once: true });
  }
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = sections.filter((it) => !it.open && !it.hidden);
    for (const it of closed) it.open = true;
  });
  addEventListener("afterprint", () => { for (const it of closed) it.open = false; });
  recall();
})();
