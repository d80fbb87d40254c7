"use strict";
addEventListener("error", (event) => { document.documentElement.dataset.error = event.message; });
(() => {
  const make = (name, words) => Object.assign(document.createElement(name), { textContent: words });

  // Titles of points become a tip that follows the pointer or the arrow keys.
  const tip = document.body.appendChild(make("div", ""));
  tip.id = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  const show = (dot) => {
    const box = dot.getBoundingClientRect();
    tip.textContent = dot.dataset.tip;
    tip.hidden = false;
    const left = Math.min(box.right + 10, innerWidth - tip.offsetWidth - 8);
    const top = Math.min(box.bottom + 8, innerHeight - tip.offsetHeight - 8);
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${Math.max(8, top)}px`;
  };
  const hide = () => { tip.hidden = true; };
  for (const chart of document.querySelectorAll("svg.chart")) {
    const dots = [...chart.querySelectorAll(".dot")];
    let at = -1;
    for (const dot of dots) {
      dot.dataset.tip = dot.textContent;
      dot.querySelector("title").remove();
      dot.addEventListener("pointerenter", () => show(dot));
      dot.addEventListener("pointerleave", hide);
    }
    const go = (to) => {
      dots[at]?.classList.remove("on");
      at = (to + dots.length) % dots.length;
      dots[at].classList.add("on");
      show(dots[at]);
    };
    chart.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step && dots.length) {
        event.preventDefault();
        go(at < 0 && step < 0 ? dots.length - 1 : at + step);
      } else if (event.key === "Escape") { hide(); }
    });
    chart.addEventListener("blur", () => { dots[at]?.classList.remove("on"); hide(); });
  }

  // Headings of tables sort.
  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      const button = make("button", heading.textContent);
      button.type = "button";
      heading.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = heading.getAttribute("aria-sort") === "ascending";
        for (const other of headings) { other.removeAttribute("aria-sort"); }
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        const body = table.tBodies[0];
        const order = (a, b) => {
          const [x, y] = [value(a, column), value(b, column)];
          return typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
        };
        body.append(...[...body.rows].sort((a, b) => (down ? order(b, a) : order(a, b))));
      });
    });
  }

  for (const text of document.querySelectorAll("pre.copy")) {
    const button = make("button", "Copy");
    button.type = "button";
    button.className = "copier";
    text.before(button);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(text);
        button.textContent = "Selected: press Ctrl+C";
      }
    });
  }
  document.documentElement.dataset.ready = "true";
})();
