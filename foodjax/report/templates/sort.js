// Sorts a table by the column whose heading is clicked, numbers by value; a second click reverses the order.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const heading = button.parentElement, table = heading.closest("table"), body = table.tBodies[0];
    const column = heading.cellIndex, text = ["text", "value"].some((kind) => heading.classList.contains(kind));
    const first = text ? "ascending" : "descending", other = text ? "descending" : "ascending";
    const order = heading.getAttribute("aria-sort") === first ? other : first;
    for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", order);
    const key = (row) => {
      const cell = row.cells[column];
      if (text) return cell.dataset.value ?? cell.textContent.trim();
      const value = parseFloat(cell.dataset.value ?? cell.textContent.replaceAll(",", ""));
      return Number.isNaN(value) ? -Infinity : value;
    };
    const sign = order === "ascending" ? 1 : -1;
    const compare = (a, b) => sign * (text ? key(a).localeCompare(key(b)) : key(a) - key(b) || 0);
    body.append(...[...body.rows].sort(compare));
  });
}
