"use strict";
(() => {
  const NEAR = 36;  // pixels within which a pointer asks for a point
  const KEYS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1, Home: 0, End: 0 };

  document.querySelectorAll(".chart").forEach((chart, number) => {
    const layer = chart.querySelector(".values");
    if (!layer) return;
    const svg = chart.querySelector("svg");
    const lines = [...layer.children].map((line) => [...line.children].map((circle) => {
      const title = circle.querySelector("title");
      const text = title.textContent;
      title.remove();  // or the browser would show a second box
      return { circle, text, x: Number(circle.getAttribute("cx")), y: Number(circle.getAttribute("cy")) };
    }));
    const points = lines.flat();
    const box = document.createElement("div");
    box.className = "value";
    box.id = `value-${number}`;
    box.setAttribute("role", "status");
    chart.append(box);
    chart.classList.add("reads");
    chart.tabIndex = 0;
    chart.setAttribute("role", "application");
    chart.setAttribute("aria-roledescription", "figure; arrow keys read its values");
    chart.setAttribute("aria-labelledby", svg.getAttribute("aria-labelledby"));
    let [line, place] = [0, 0];
    let here = null;

    const hide = () => {
      if (here) here.circle.classList.remove("here");
      here = null;
      box.textContent = "";
    };
    const show = (point) => {
      if (point === here) return;
      hide();
      here = point;
      point.circle.classList.add("here");
      box.textContent = point.text;
      // Beside the point, and inside the figure.
      const [frame, at] = [chart.getBoundingClientRect(), point.circle.getBoundingClientRect()];
      const left = at.left + at.width / 2 - frame.left - box.offsetWidth / 2;
      const above = at.top - frame.top - box.offsetHeight - 6;
      box.style.left = `${Math.max(0, Math.min(left, frame.width - box.offsetWidth))}px`;
      box.style.top = `${above > -box.offsetHeight ? above : at.bottom - frame.top + 6}px`;
    };

    // Pointer and finger: the nearest point, if it is near.
    const ask = (event) => {
      const frame = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / frame.width;
      const [x, y] = [(event.clientX - frame.left) * scale, (event.clientY - frame.top) * scale];
      let [best, distance] = [null, NEAR * scale];
      points.forEach((point) => {
        const away = Math.hypot(point.x - x, point.y - y);
        if (away < distance) [best, distance] = [point, away];
      });
      if (best) show(best);
      else hide();
    };
    svg.addEventListener("pointermove", ask);
    svg.addEventListener("pointerdown", ask);
    chart.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") hide(); });
    document.addEventListener("pointerdown", (event) => { if (!chart.contains(event.target)) hide(); });

    // Keyboard: one stop for the whole figure. Left and right walk along a line, up and down from line to line.
    const nearest = (from, to) => to.reduce(
      (best, point, index) => (Math.abs(point.x - from.x) < Math.abs(to[best].x - from.x) ? index : best), 0,
    );
    const walk = (key) => {
      const before = lines[line][place];
      if (key === "Home") place = 0;
      else if (key === "End") place = lines[line].length - 1;
      else if (lines.length > 1 && (key === "ArrowUp" || key === "ArrowDown")) {
        line = (line + KEYS[key] + lines.length) % lines.length;
        place = nearest(before, lines[line]);
      } else place = Math.max(0, Math.min(place + KEYS[key], lines[line].length - 1));
    };
    chart.addEventListener("focus", () => { if (chart.matches(":focus-visible")) show(lines[line][place]); });
    chart.addEventListener("blur", hide);
    chart.addEventListener("keydown", (event) => {
      if (event.key === "Escape") hide();
      if (!(event.key in KEYS) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      if (here) walk(event.key);
      show(lines[line][place]);
    });
  });
})();
