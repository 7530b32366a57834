// Of the pages that take a photograph and show what it is predicted as.
const byId = (id) => document.getElementById(id);
const make = (tag, fields, ...children) => {
  const element = Object.assign(document.createElement(tag), fields);
  element.append(...children);
  return element;
};
const picture = (uri, alt, caption) =>
  make("figure", {}, make("img", { src: uri, alt }), make("figcaption", {}, caption));
const percent = (p) => (100 * p).toFixed(1) + " %";

// Shows a line where screen readers read it out.
function tell(line, kind = "") {
  byId("status").className = kind;
  byId("status").textContent = line;
}

// Returns a figure of a file's photograph, which leaves the page if the browser does not show its format.
let shown = "";
function original(file) {
  URL.revokeObjectURL(shown);
  shown = URL.createObjectURL(file);
  const figure = picture(shown, "the photograph", "photograph");
  figure.firstChild.addEventListener("error", () => figure.remove());
  return figure;
}

// Predicts every photograph that is chosen, taken, dropped or pasted.
//   answer: async function of a file; returns { top: [{ class, probability }, ...], ... }, and throws an Error whose
//     message is a line for the user.
//   show: function of what it returned and the file; shows what the page has beside the first predictions.
function takePhotographs(answer, show) {
  let latest = 0;

  async function take(file) {
    if (!file) return;
    const turn = ++latest;
    byId("result").hidden = true;
    tell("predicting …");
    let found;
    try {
      found = await answer(file);
    } catch (error) {
      if (turn === latest) tell(error.message, "wrong");
      return;
    }
    if (turn !== latest) return; // a later photograph is on its way
    tell(`${found.top[0].class}: ${percent(found.top[0].probability)}`);
    byId("top").replaceChildren(...found.top.map((guess) => make("li", {},
      make("span", { className: "class" }, guess.class),
      make("progress", { max: 1, value: guess.probability, ariaLabel: guess.class }),
      make("span", {}, percent(guess.probability)))));
    show(found, file);
    byId("result").hidden = false;
  }

  for (const id of ["file", "camera"]) {
    byId(id).addEventListener("change", (event) => { take(event.target.files[0]); event.target.value = ""; });
  }
  const drop = byId("drop");
  for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
  drop.addEventListener("dragover", () => drop.classList.add("over"));
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  addEventListener("drop", (event) => { drop.classList.remove("over"); take(event.dataTransfer.files[0]); });
  addEventListener("paste", (event) => take(event.clipboardData.files[0]));
}
