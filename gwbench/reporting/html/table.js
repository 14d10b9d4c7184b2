"use strict";
(() => {
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  const compare = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
  };

  all(".table").forEach((box) => {
    const table = box.querySelector("table");
    const heads = all("thead th", table);
    const bodies = all("tbody:not(.section)", table);
    const sections = new Map();  // section heading, or null -> its rows
    let section = null;
    for (const body of table.tBodies) {
      if (body.classList.contains("section")) section = body;
      else sections.set(section, [...(sections.get(section) || []), body]);
    }

    // Sorting moves rows within their section; rows without a value come last both ways.
    const sort = (head) => {
      const before = head.getAttribute("aria-sort");
      const down = before ? before === "ascending" : head.dataset.first === "descending";
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const column = heads.indexOf(head);
      const value = (body) => body.rows[0].cells[column].dataset.order;
      const order = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
        return down ? compare(y, x) : compare(x, y);
      };
      const moved = document.createDocumentFragment();
      for (const [heading, members] of sections) {
        if (heading) moved.append(heading);
        moved.append(...members.sort(order));
      }
      table.append(moved);
    };
    heads.forEach((head) => {
      const button = head.querySelector("button");
      button.addEventListener("click", () => { sort(head); button.focus(); });
    });

    // Details open below their row.
    const openers = all(".opens", table);
    const open = (button, isOpen) => {
      document.getElementById(button.getAttribute("aria-controls")).hidden = !isOpen;
      button.setAttribute("aria-expanded", String(isOpen));
    };
    openers.forEach((button) => {
      open(button, false);
      button.addEventListener("click", () => open(button, button.getAttribute("aria-expanded") === "false"));
    });

    const form = box.querySelector(".controls");
    if (!form) return;
    form.hidden = false;
    const search = form.querySelector("input");
    const chips = all("[data-facet]", form);
    const words = new Map(bodies.map((body) => [body, body.rows[0].textContent.toLowerCase()]));
    const facets = new Map(bodies.map((body) => [body, body.dataset.facets.split("\n")]));
    const count = form.querySelector("output");

    // Chosen values of one facet widen the choice, those of another narrow it, as every word of the search does.
    const filter = () => {
      const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const groups = all("fieldset", form)
        .map((group) => all("[aria-pressed=true]", group).map((chip) => chip.dataset.facet))
        .filter((chosen) => chosen.length);
      let shown = 0;
      bodies.forEach((body) => {
        const fits = wanted.every((word) => words.get(body).includes(word))
          && groups.every((chosen) => chosen.some((value) => facets.get(body).includes(value)));
        body.hidden = !fits;
        shown += fits;
      });
      for (const [heading, members] of sections) {
        if (heading) heading.hidden = members.every((body) => body.hidden);
      }
      count.textContent = `${shown} of ${bodies.length} ${count.dataset.noun}`;
    };
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => {
      chips.forEach((chip) => chip.setAttribute("aria-pressed", "false"));
      search.value = "";
      filter();
    });
    search.addEventListener("input", filter);
    const every = form.querySelector(".all");
    if (every) {
      every.addEventListener("click", () => {
        const isOpen = every.textContent === "Open all";
        openers.forEach((button) => open(button, isOpen));
        every.textContent = isOpen ? "Close all" : "Open all";
      });
    }
    chips.forEach((chip) => chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
      filter();
    }));
    filter();
  });
})();
