// The page of foodjax export --format web: a photograph is made a square as training did, and predicted by ONNX Runtime
// in this page. Nothing is sent: the page's Content-Security-Policy allows no connection.

const facts = JSON.parse(byId("facts").textContent);
const side = facts.image_size;

// Returns the bytes of a script element, which are compressed and in base64; the element leaves the page.
async function unpack(id) {
  const text = atob(byId(id).textContent), packed = new Uint8Array(text.length);
  byId(id).remove();
  for (let i = 0; i < packed.length; i++) packed[i] = text.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Returns ONNX Runtime's module and the network, ready to run.
async function load() {
  if (typeof WebAssembly !== "object") {
    throw new Error("this browser has no WebAssembly, which the network runs in: needs another browser or settings");
  }
  if (typeof DecompressionStream !== "function") {
    throw new Error("this browser is too old to unpack the network: needs one of 2023 or later");
  }
  try {
    const address = URL.createObjectURL(new Blob([await unpack("runtime")], { type: "text/javascript" }));
    const ort = await import(address);
    URL.revokeObjectURL(address);
    // Threads need headers that a file and most hosts do not send.
    Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: await unpack("wasm") });
    const session = await ort.InferenceSession.create(await unpack("network"), { executionProviders: ["wasm"] });
    return { ort, session };
  } catch (error) {
    throw new Error(`the network does not start in this browser (${error.message}): needs a newer one, or more memory`);
  }
}

// Returns the probability of each class, in the order of facts.class_names.
//   pixels: Uint8Array of side x side x 3.
async function probabilities(pixels) {
  const { ort, session } = await loaded;
  const found = await session.run({ images: new ort.Tensor("uint8", pixels, [1, side, side, 3]) });
  return found.probabilities.data;
}

// Returns a file whose EXIF no browser finds, for a network that was trained without it. Of a JPEG: other formats
// seldom have one. Browsers have no option that leaves a photograph as it lies.
async function withoutOrientation(file) {
  const bytes = new Uint8Array(await file.arrayBuffer()), view = new DataView(bytes.buffer);
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return file;
  // Segments: 0xff, kind, two bytes of length. The pixels begin with kind 0xda; 0xe1 holds EXIF, and 0xef nothing.
  let at = 2;
  while (at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda) {
    if (bytes[at + 1] === 0xe1) bytes[at + 1] = 0xef;
    at += 2 + view.getUint16(at + 2);
  }
  return new Blob([bytes]);
}

// Returns a photograph, upright, with the levels that its file has.
async function open(file) {
  if (file.size > facts.max_bytes) {
    const megabytes = (bytes) => Math.ceil(bytes / 2 ** 20);
    throw new Error(`the file has ${megabytes(file.size)} MB: needs at most ${megabytes(facts.max_bytes)} MB`);
  }
  // The browser turns it as its EXIF says. Colour profiles are not applied, since training applies none.
  const encoded = facts.decoding === "plain" ? await withoutOrientation(file) : file;
  const bitmap = await createImageBitmap(encoded, { colorSpaceConversion: "none" }).catch(() => {
    throw new Error("this file is no picture that this browser reads: needs a JPEG, PNG or WebP");
  });
  const { width, height } = bitmap;
  if (width * height > facts.max_pixels) {
    bitmap.close();
    throw new Error(`the picture has ${width} x ${height} pixels: needs at most ${facts.max_pixels / 1e6} million`);
  }
  return bitmap;
}

// Returns the pixels of a photograph as the network gets them, Uint8Array of side x side x 3.
function prepare(bitmap) {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });

  function read(left, top, width, height) {
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.fillStyle = "white"; // behind transparent pixels
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, left, top, width, height, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  }

  try {
    return toSquare(read, bitmap.width, bitmap.height, side, facts.resize, facts.geometry);
  } catch (error) {
    throw new Error(`this browser cannot resize the picture (${error.message}): needs a smaller one`);
  }
}

// Returns the address of prepared pixels, as a picture to look at.
function addressOf(pixels) {
  const canvas = make("canvas", { width: side, height: side }), image = new ImageData(side, side);
  for (let i = 0; i < side * side; i++) image.data.set([...pixels.subarray(3 * i, 3 * i + 3), 255], 4 * i);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas.toDataURL();
}

// Returns the five most probable classes of a file's photograph, its prepared pixels, and the milliseconds it took.
async function answer(file) {
  await loaded;
  const start = performance.now(), bitmap = await open(file), pixels = prepare(bitmap);
  bitmap.close();
  const between = performance.now(), found = await probabilities(pixels), end = performance.now();
  const best = [...found.keys()].sort((a, b) => found[b] - found[a] || a - b).slice(0, 5);
  return {
    top: best.map((k) => ({ class: facts.class_names[k], probability: found[k] })),
    pixels, preparing: between - start, computing: end - between,
  };
}

function show(found, file) {
  const caption = `prepared: ${side} x ${side} pixels`;
  const seen = picture(addressOf(found.pixels), "the photograph as it is prepared", caption);
  seen.firstChild.className = "seen";
  byId("cams").replaceChildren(original(file), seen);
  const times = [found.preparing, found.computing].map((ms) => ms < 10 ? ms.toFixed(1) : Math.round(ms));
  byId("times").textContent = `On this device, prepared in ${times[0]} ms and computed in ${times[1]} ms.`;
}

const loaded = load();
loaded.then(
  () => { if (byId("status").textContent === facts.loading) tell("ready for a photograph"); },
  (error) => tell(error.message, "wrong"),
);
takePhotographs(answer, show);
