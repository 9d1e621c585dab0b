// A map on a canvas: tiles of density, sampled points, titles; moved, zoomed, and drawn on with a lasso.
// Text comes in as data and goes out through fillText and textContent, never as HTML.
const CORNERS = 40;

function decode(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Kind(bytes.buffer);
}

function unpack(data) {
  const p = data.points;
  return {
    counts: decode(data.grid.counts, Uint32Array),
    x: decode(p.x, Float32Array), y: decode(p.y, Float32Array), colour: decode(p.colour, Uint8Array),
    facts: p.facts.map((fact) => ({ ...fact, held: decode(fact.held, fact.values ? Uint16Array : Float32Array) })),
  };
}

function colours(root) {
  const probe = root.querySelector(".sx-map-probe");
  const read = (name) => {
    probe.style.color = `var(--sx-${name})`;
    return getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
  };
  const many = (letter, n) => Array.from({ length: n }, (_, i) => read(letter + i));
  return { ink: read("ink"), soft: read("soft"), panel: read("panel"), accent: read("accent"), line: read("edge"),
           faint: read("faint"), labels: many("c", 17), steps: many("s", 4) };
}

const rgb = (c, a = 1) => `rgba(${c[0]},${c[1]},${c[2]},${a})`;

function along(steps, part) {
  const at = Math.min(part * (steps.length - 1), steps.length - 1.0001), i = Math.floor(at);
  return steps[i].map((v, k) => Math.round(v + (steps[i + 1][k] - v) * (at - i)));
}

// Corners that stay when no dropped one is further than `far` from the line (Douglas and Peucker 1973).
function thinned(points, far) {
  if (points.length < 3) return points;
  const [a, b] = [points[0], points[points.length - 1]];
  const size = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1e-9;
  let most = 0, at = 0;
  points.forEach((p, i) => {
    const off = a[0] === b[0] && a[1] === b[1] ? Math.hypot(p[0] - a[0], p[1] - a[1])
      : Math.abs((b[0] - a[0]) * (a[1] - p[1]) - (a[0] - p[0]) * (b[1] - a[1])) / size;
    if (off > most) [most, at] = [off, i];
  });
  if (most <= far) return [a, b];
  return [...thinned(points.slice(0, at + 1), far).slice(0, -1), ...thinned(points.slice(at), far)];
}

function outline(points) {
  let far = 1.5, kept = thinned(points, far);
  while (kept.length > CORNERS) kept = thinned(points, (far *= 1.4));
  return kept;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".sx-map");
  const canvas = root.querySelector("canvas"), tip = root.querySelector(".sx-map-tip");
  const held = root.__held || (root.__held = { mode: "move", path: [] });
  const wide = root.clientWidth || 800, tall = Math.round(Math.min(Math.max(wide * 0.62, 360), 620));
  const ratio = window.devicePixelRatio || 1;
  canvas.style.height = `${tall}px`;
  canvas.width = wide * ratio;
  canvas.height = tall * ratio;
  if (held.stamp !== data.stamp) Object.assign(held, { stamp: data.stamp, ...unpack(data) });
  if (!held.view || data.view !== held.sent) held.view = fitted(data.box);
  held.path = [];
  const tones = colours(root);
  canvas.setAttribute("aria-label", data.label);

  function fitted([left, right, low, high]) {
    const scale = Math.max((right - left) / wide, (high - low) / tall);
    return { x: (left + right) / 2, y: (low + high) / 2, scale };
  }
  const toX = (x) => wide / 2 + (x - held.view.x) / held.view.scale;
  const toY = (y) => tall / 2 - (y - held.view.y) / held.view.scale;
  const fromX = (px) => held.view.x + (px - wide / 2) * held.view.scale;
  const fromY = (py) => held.view.y - (py - tall / 2) * held.view.scale;

  function tiles(draw) {
    const { across, down } = data.grid, small = document.createElement("canvas");
    small.width = across;
    small.height = down;
    const pen = small.getContext("2d"), image = pen.createImageData(across, down);
    const most = Math.log1p(data.grid.most || 1);
    held.counts.forEach((n, at) => {
      if (!n) return;
      const to = 4 * ((down - 1 - Math.floor(at / across)) * across + (at % across));
      image.data.set([...tones.soft, Math.round(30 + 120 * Math.log1p(n) / most)], to);
    });
    pen.putImageData(image, 0, 0);
    const [left, right, low, high] = data.box;
    draw.imageSmoothingEnabled = false;
    draw.drawImage(small, toX(left), toY(high), toX(right) - toX(left), toY(low) - toY(high));
  }

  function tone(code) {
    if (data.colours.steps) return code === 255 ? tones.faint : along(tones.steps, code / 254);
    return code < 17 ? tones.labels[code] : tones.faint;
  }

  function dots(draw) {
    const size = held.x.length > 20000 ? 1.6 : held.x.length > 4000 ? 2.2 : 3.2;
    const fills = Array.from({ length: 256 }, (_, code) => rgb(tone(code), 0.8));
    for (let i = 0; i < held.x.length; i++) {
      const px = toX(held.x[i]), py = toY(held.y[i]);
      if (px < -4 || py < -4 || px > wide + 4 || py > tall + 4) continue;
      draw.fillStyle = fills[held.colour[i]];
      draw.beginPath();
      draw.arc(px, py, size, 0, 7);
      draw.fill();
    }
  }

  function titles(draw) {
    const taken = [];
    draw.font = "600 12.5px system-ui, sans-serif";
    draw.textAlign = "center";
    draw.textBaseline = "middle";
    for (const { x, y, title } of data.titles) {
      const px = toX(x), py = toY(y), half = draw.measureText(title).width / 2 + 6;
      if (px < 0 || py < 0 || px > wide || py > tall) continue;
      const at = Math.min(Math.max(px, half), wide - half);
      if (taken.some(([x0, y0, h0]) => Math.abs(x0 - at) < h0 + half && Math.abs(y0 - py) < 18)) continue;
      taken.push([at, py, half]);
      draw.fillStyle = rgb(tones.panel, 0.86);
      draw.beginPath();
      draw.roundRect(at - half, py - 10, 2 * half, 20, 4);
      draw.fill();
      draw.fillStyle = rgb(tones.ink);
      draw.fillText(title, at, py + 0.5);
    }
  }

  function shape(draw, corners, closed) {
    if (corners.length < 2) return;
    draw.beginPath();
    corners.forEach(([x, y], i) => (i ? draw.lineTo(toX(x), toY(y)) : draw.moveTo(toX(x), toY(y))));
    if (closed) draw.closePath();
    draw.fillStyle = rgb(tones.accent, 0.13);
    if (closed) draw.fill("evenodd");
    draw.strokeStyle = rgb(tones.accent);
    draw.lineWidth = 2;
    draw.stroke();
  }

  function ring(draw, i) {
    draw.beginPath();
    draw.arc(toX(held.x[i]), toY(held.y[i]), 6, 0, 7);
    draw.strokeStyle = rgb(tones.ink);
    draw.lineWidth = 2;
    draw.stroke();
  }

  function paint() {
    const draw = canvas.getContext("2d");
    draw.setTransform(ratio, 0, 0, ratio, 0, 0);
    draw.clearRect(0, 0, wide, tall);
    if (data.sampled) tiles(draw); // where every row is a point, tiles say nothing more
    dots(draw);
    titles(draw);
    shape(draw, held.path.length ? held.path : data.polygon, !held.path.length);
    if (held.near >= 0) ring(draw, held.near);
  }

  function moved() {
    paint();
    clearTimeout(held.wait);
    held.wait = setTimeout(() => {
      const box = [fromX(0), fromX(wide), fromY(tall), fromY(0)];
      held.sent = box.map((v) => Number(v.toPrecision(6))).join(",");
      setTriggerValue("view", held.sent);
    }, 260);
  }

  function zoom(by, px = wide / 2, py = tall / 2) {
    const [x, y] = [fromX(px), fromY(py)];
    held.view.scale *= by;
    held.view.x = x - (px - wide / 2) * held.view.scale;
    held.view.y = y + (py - tall / 2) * held.view.scale;
    moved();
  }

  function nearest(px, py) {
    let best = 10, at = -1;
    for (let i = 0; i < held.x.length; i++) {
      const far = Math.hypot(toX(held.x[i]) - px, toY(held.y[i]) - py);
      if (far < best) [best, at] = [far, i];
    }
    return at;
  }

  const name = (i) => data.points.ids.slice(12 * i, 12 * i + 12);

  function hint(i, px, py) {
    tip.hidden = i < 0;
    if (i < 0) return;
    const written = (fact) => {
      const value = fact.held[i];
      return fact.values ? fact.values[value] ?? "–" : Number.isNaN(value) ? "–" : Number(value.toPrecision(4)).toLocaleString("en");
    };
    tip.replaceChildren(...[["sample", name(i)], ...held.facts.map((fact) => [fact.name, written(fact)])].map(([k, v]) => {
      const line = document.createElement("div"), key = document.createElement("span");
      key.textContent = k;
      line.append(key, document.createTextNode(v));
      return line;
    }));
    tip.style.left = `${Math.min(px + 14, wide - 240)}px`;
    const down = py + 14 + tip.offsetHeight > tall ? py - 14 - tip.offsetHeight : py + 14;
    tip.style.top = `${canvas.offsetTop + Math.max(down, 4)}px`;
  }

  function hover(px, py) {
    const at = nearest(px, py);
    if (at !== held.near) {
      held.near = at;
      paint();
    }
    hint(at, px, py);
  }

  canvas.onpointerdown = (event) => {
    if (event.button > 0) return;
    canvas.setPointerCapture(event.pointerId);
    held.from = [event.offsetX, event.offsetY];
    held.drag = [event.offsetX, event.offsetY];
    held.trail = [held.from];
  };
  canvas.onpointermove = (event) => {
    const [px, py] = [event.offsetX, event.offsetY];
    if (!held.from) return hover(px, py);
    hint(-1);
    if (held.mode === "lasso" || event.shiftKey) {
      held.trail.push([px, py]);
      held.path = held.trail.map(([a, b]) => [fromX(a), fromY(b)]);
      return paint();
    }
    held.view.x -= (px - held.drag[0]) * held.view.scale;
    held.view.y += (py - held.drag[1]) * held.view.scale;
    held.drag = [px, py];
    moved();
  };
  canvas.onpointerup = (event) => {
    const far = held.from && Math.hypot(event.offsetX - held.from[0], event.offsetY - held.from[1]);
    held.from = null;
    if (held.path.length > 2) {
      const kept = outline(held.trail).map(([a, b]) => [fromX(a), fromY(b)]);
      if (kept.length > 2) setTriggerValue("lasso", kept.map((p) => p.map((v) => v.toPrecision(7)).join(",")).join(" "));
      held.path = kept;
      return paint();
    }
    held.path = [];
    if (far < 4 && held.near >= 0) setTriggerValue("pick", name(held.near));
  };
  canvas.onpointerleave = () => hint(-1);
  canvas.onwheel = (event) => {
    if (document.activeElement !== canvas && !event.ctrlKey) return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, event.offsetX, event.offsetY);
  };
  const shift = (dx, dy) => {
    held.view.x += dx * wide * held.view.scale;
    held.view.y += dy * tall * held.view.scale;
    moved();
  };
  const keys = {
    ArrowLeft: () => shift(-0.15, 0), ArrowRight: () => shift(0.15, 0), ArrowUp: () => shift(0, 0.15),
    ArrowDown: () => shift(0, -0.15), "+": () => zoom(1 / 1.4), "=": () => zoom(1 / 1.4), "-": () => zoom(1.4),
    0: () => whole(), Escape: () => { held.path = []; held.from = null; paint(); },
  };
  canvas.onkeydown = (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  };
  function whole() {
    clearTimeout(held.wait);
    held.sent = null;
    held.view = null;
    setTriggerValue("view", "whole");
  }
  const modes = () => root.querySelectorAll("[data-mode]").forEach((el) => {
    el.setAttribute("aria-pressed", String(el.dataset.mode === held.mode));
    canvas.classList.toggle("lasso", held.mode === "lasso");
  });
  root.querySelectorAll("[data-mode]").forEach((el) => (el.onclick = () => {
    held.mode = el.dataset.mode;
    modes();
  }));
  const does = { in: () => zoom(1 / 1.4), out: () => zoom(1.4), whole };
  root.querySelectorAll("[data-do]").forEach((el) => (el.onclick = does[el.dataset.do]));
  modes();
  paint();
}
