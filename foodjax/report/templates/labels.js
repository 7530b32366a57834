// Of the page of labels: the photographs that are ticked, as a list for data.exclude.
{
  const boxes = [...document.querySelectorAll(".suspects input")];
  const bar = document.getElementById("chosen"), save = document.getElementById("save");
  const ticked = () => boxes.filter((box) => box.checked);
  let saved = "";

  // As foodjax reads it: UTF-8, quoted, each name as labels.csv has it.
  const list = () => ["file", ...ticked().map((box) => `"${box.value.replaceAll('"', '""')}"`)].join("\r\n") + "\r\n";

  function show() {
    const count = ticked().length;
    bar.querySelector("p").textContent = `${count} of ${boxes.length} ticked`;
    save.disabled = !count;
  }

  function tick(checked) {
    for (const box of boxes) box.checked = checked;
    show();
  }

  save.addEventListener("click", () => {
    saved = list();
    const uri = URL.createObjectURL(new Blob([saved], { type: "text/csv" }));
    Object.assign(document.createElement("a"), { href: uri, download: "exclude.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(uri), 10000);
  });
  document.getElementById("all").addEventListener("click", () => tick(true));
  document.getElementById("none").addEventListener("click", () => tick(false));
  for (const box of boxes) box.addEventListener("change", show);
  // Ticks are in the page alone: whoever leaves it with some that are not saved is asked.
  addEventListener("beforeunload", (event) => { if (ticked().length && list() !== saved) event.preventDefault(); });
  bar.hidden = false;
  show(); // a browser may have kept ticks over a reload
}
