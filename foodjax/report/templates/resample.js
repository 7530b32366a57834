// Resizes pictures as Pillow does, to the level of 8 bits: a convolution along rows, then one along columns. Where a
// picture becomes smaller, the filter is as wide as the pixels that a new one covers, so that each counts.

// Name -> how far the filter reaches, in pixels of the result, and its weight at a distance. As data.geometry.FILTERS.
const sinc = (x) => x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
const FILTERS = {
  box: [0.5, (x) => x > -0.5 && x <= 0.5 ? 1 : 0],
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  bicubic: [2, (x) => { // Keys 1981, with a = -1/2
    const t = Math.abs(x);
    return t < 1 ? (1.5 * t - 2.5) * t * t + 1 : t < 2 ? (((t - 5) * t + 8) * t - 4) * -0.5 : 0;
  }],
  lanczos: [3, (x) => x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0],
};
const ONE = 2 ** 22; // weights are integers, this many for 1: sums of bytes then fit 32 bits

// Returns, for each pixel of a new row, the first pixel of the old row that it reads and the weights from there on.
function windows(oldLength, newLength, name) {
  const scale = oldLength / newLength;
  if (name === "nearest") {
    let at = scale * 0.5; // summed up as Pillow does, whose rounding chooses between two pixels
    return Array.from({ length: newLength }, () => {
      const first = Math.floor(at);
      at += scale;
      return { first, weights: Int32Array.of(ONE) };
    });
  }
  const [reach, weightAt] = FILTERS[name], wide = Math.max(1, scale);
  return Array.from({ length: newLength }, (_, k) => {
    const centre = (k + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach * wide + 0.5));
    const end = Math.min(oldLength, Math.trunc(centre + reach * wide + 0.5));
    const weights = Array.from({ length: end - first }, (_, i) => weightAt((first + i - centre + 0.5) * (1 / wide)));
    const sum = weights.reduce((a, b) => a + b, 0);
    const rounded = weights.map((w) => w / sum * ONE).map((w) => Math.trunc(w < 0 ? w - 0.5 : w + 0.5));
    return { first, weights: Int32Array.from(rounded) };
  });
}

// Returns the level of a sum of levels times weights.
const level = (sum) => Math.min(255, Math.max(0, (sum + ONE / 2) >> 22));

// The convolution along the rows of a picture; returns its bytes, three a pixel.
//   bytes: of the picture, `step` a pixel, of which the first three are read.
function alongRows(bytes, step, width, height, columns) {
  const result = new Uint8Array(height * columns.length * 3);
  for (let y = 0, to = 0; y < height; y++) {
    for (const { first, weights } of columns) {
      let red = 0, green = 0, blue = 0;
      for (let i = 0, at = step * (y * width + first); i < weights.length; i++, at += step) {
        red += bytes[at] * weights[i];
        green += bytes[at + 1] * weights[i];
        blue += bytes[at + 2] * weights[i];
      }
      result[to++] = level(red);
      result[to++] = level(green);
      result[to++] = level(blue);
    }
  }
  return result;
}

// The same along its columns.
function alongColumns(bytes, step, width, rows) {
  const result = new Uint8Array(rows.length * width * 3), sums = new Int32Array(width * 3);
  rows.forEach(({ first, weights }, y) => {
    sums.fill(0);
    weights.forEach((weight, i) => {
      for (let x = 0, to = 0, at = step * width * (first + i); x < width; x++, at += step) {
        sums[to++] += bytes[at] * weight;
        sums[to++] += bytes[at + 1] * weight;
        sums[to++] += bytes[at + 2] * weight;
      }
    });
    result.set(sums.map(level), 3 * width * y);
  });
  return result;
}

// Resizes a part of a picture; returns its bytes, three a pixel.
//   read: function of (left, top, width, height) in pixels of the picture; returns its bytes, four a pixel. It is asked
//     for a piece at a time: a large photograph would need 400 MB at once.
//   box: the part, { left, top, width, height }.
function resize(read, box, width, height, name) {
  const columns = windows(box.width, width, name), rows = windows(box.height, height, name);
  const lost = [box.width - width, box.height - height];
  // The order of Pillow from version 13 on: it changes how levels are rounded.
  if (lost[1] > 0 && lost[1] > 2 * lost[0]) {
    const low = new Uint8Array(height * box.width * 3), wide = pieces(box.height);
    for (let left = 0; left < box.width; left += wide) {
      const count = Math.min(wide, box.width - left);
      const piece = alongColumns(read(box.left + left, box.top, count, box.height), 4, count, rows);
      for (let y = 0; y < height; y++) {
        low.set(piece.subarray(3 * count * y, 3 * count * (y + 1)), 3 * (box.width * y + left));
      }
    }
    return alongRows(low, 3, box.width, height, columns);
  }
  const narrow = new Uint8Array(box.height * width * 3), high = pieces(box.width);
  for (let top = 0; top < box.height; top += high) {
    const count = Math.min(high, box.height - top);
    const piece = alongRows(read(box.left, box.top + top, box.width, count), 4, box.width, count, columns);
    narrow.set(piece, 3 * width * top);
  }
  return alongColumns(narrow, 3, width, rows);
}

// Returns how many rows, or columns, of a length are read at once.
const pieces = (length) => Math.max(1, Math.floor(2 ** 20 / length));

// Rounds as Python does: a half to the even neighbour.
function roundHalfEven(x) {
  const low = Math.floor(x);
  return x - low === 0.5 ? low + low % 2 : Math.round(x);
}

// Makes a picture of any shape a square, as data.geometry.to_square; returns its bytes, three a pixel.
function toSquare(read, width, height, side, name, geometry) {
  if (geometry === "crop") {
    const short = Math.min(width, height);
    const [left, top] = [width, height].map((length) => Math.floor((length - short) / 2));
    return resize(read, { left, top, width: short, height: short }, side, side, name);
  }
  const whole = { left: 0, top: 0, width, height };
  if (geometry === "stretch" || width === height) return resize(read, whole, side, side, name);
  const longest = Math.max(width, height);
  const inner = [width, height].map((length) => Math.max(1, roundHalfEven(length * side / longest)));
  const [left, top] = inner.map((length) => Math.floor((side - length) / 2));
  const middle = resize(read, whole, ...inner, name), square = new Uint8Array(side * side * 3).fill(128);
  for (let y = 0; y < inner[1]; y++) {
    const row = middle.subarray(3 * inner[0] * y, 3 * inner[0] * (y + 1));
    square.set(row, 3 * ((top + y) * side + left));
  }
  return square;
}
