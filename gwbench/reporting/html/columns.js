"use strict";
(() => {
  const stored = (key) => {
    try {
      const names = JSON.parse(localStorage.getItem(key));
      return Array.isArray(names) ? names : [];
    } catch {
      return [];  // a browser may keep nothing for a file
    }
  };
  const store = (key, names) => {
    try {
      if (names.length) localStorage.setItem(key, JSON.stringify(names));
      else localStorage.removeItem(key);
    } catch {
      // what was chosen holds until the page is closed
    }
  };

  document.querySelectorAll(".table").forEach((box) => {
    const scroll = box.querySelector(".scroll");
    const frame = box.querySelector(".frame");
    const hint = box.querySelector(".hint");

    // A shade and a sentence say that there is more to the right, until the end has been reached.
    const look = () => {
      const hidden = scroll.scrollWidth - scroll.clientWidth;
      const more = hidden - scroll.scrollLeft > 1;
      frame.classList.toggle("more", more);
      frame.classList.toggle("moved", scroll.scrollLeft > 1);
      hint.hidden = hidden <= 1;
      hint.classList.toggle("done", !more);
    };
    scroll.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(scroll);
    look();

    // The columns that are shown: all but those that the reader took away, here or on another page of such rows.
    const picker = box.querySelector(".columns");
    if (!picker) return;
    const heads = [...box.querySelectorAll("thead th")];
    const rows = [...box.querySelectorAll("thead tr, tbody:not(.section) > tr:first-child")];
    const key = `gwbench columns of ${scroll.getAttribute("aria-label")}`;
    const choices = new Map();  // heading -> its checkbox
    const show = (head, shown) => {
      const column = heads.indexOf(head);
      rows.forEach((row) => { row.cells[column].hidden = !shown; });
    };
    const apply = () => {
      const gone = [];
      choices.forEach((choice, head) => {
        show(head, choice.checked);
        if (!choice.checked) gone.push(head.textContent);
      });
      look();
      return gone;
    };
    // What other pages took away and this one does not have stays remembered.
    const others = () => stored(key).filter((name) => !heads.some((head) => head.textContent === name));
    const choose = () => store(key, [...others(), ...apply()]);
    const group = picker.querySelector("div");
    heads.forEach((head) => {
      if (head.matches(".fixed, .pinned")) return;
      const label = document.createElement("label");
      const choice = document.createElement("input");
      choice.type = "checkbox";
      choice.checked = !stored(key).includes(head.textContent);
      choice.addEventListener("change", choose);
      label.append(choice, head.textContent);
      group.append(label);
      choices.set(head, choice);
    });
    const every = document.createElement("button");
    every.type = "button";
    every.textContent = "Show all";
    every.addEventListener("click", () => {
      choices.forEach((choice) => { choice.checked = true; });
      choose();
    });
    group.append(every);
    picker.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !picker.open) return;
      picker.open = false;
      picker.querySelector("summary").focus();
    });
    picker.hidden = false;
    apply();
  });
})();
