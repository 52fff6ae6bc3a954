// Two runs side by side at any moment of training: maps, generated points, and their accuracy.
(root, { methods, pair, draws, steps, side, half, size, film, cloud, labeled, classes }) => {
  const N = 300; // pixels of a panel
  const BLUE = [42, 111, 187], ORANGE = [240, 138, 36], WHITE = [255, 255, 255];
  const PALE = [207, 227, 216], GREEN = [47, 125, 91], INK = [34, 48, 60];
  const mix = (a, b, t) => a.map((c, i) => c + (b[i] - c) * t);
  const color = {
    class: (v) => mix(WHITE, v < 0 ? BLUE : ORANGE, 0.45 * Math.abs(v)),
    real: (v) => (v < 0 ? mix(PALE, WHITE, -v) : mix(PALE, GREEN, v)),
  };
  const about = {
    class: "Ground: blue where the network says outer ring, orange where inner, white where it has no opinion. ",
    real: "Ground: dark where D is near 1, white where it is near 0. The line is D = 1/2. ",
  };
  const escape = (text) => text.replace(/[&<]/g, (c) => ({ "&": "&amp;", "<": "&lt;" })[c]);
  const options = (names) =>
    names.map((name, i) => `<option value="${i}">${escape(name)}</option>`).join("");
  const SIDES = ["left", "right"];
  root.innerHTML = `<style>
    .controls > label { flex: 1 1 9rem; }
    .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0.8rem; align-items: end; }
    .title { font-weight: 600; }
    canvas { aspect-ratio: 1; border: 1px solid #c9d0d6; print-color-adjust: exact; }
    .legend { margin: 0.4rem 0; font-size: 0.85em; }
    .tick { position: relative; height: 1.5em; margin: 0 8px; font-size: 0.85em; }
    .tick span { position: absolute; padding-left: 0.3em; border-left: 2px solid #22303c; line-height: 1.1; }
    #dots { height: auto; }
  </style>
  <div role="group" aria-label="The film of the training">
    <div class="controls">
      ${SIDES.map((s) => `<label>${s} <select id="${s}">${options(methods.map((m) => m.name))}</select></label>`).join("")}
      <label>labels and networks <select id="draw">${options(draws.map((d) => `draw ${d + 1}`))}</select></label>
      <fieldset><legend>ground</legend>
        <label><input type="radio" name="map" value="class" id="class"> classes</label>
        <label><input type="radio" name="map" value="real" id="real"> D</label></fieldset>
    </div>
    <label>step <b id="told"></b>
      <input type="range" id="moment" min="0" max="${steps.length - 1}" step="1"></label>
    <div class="tick" id="tick"></div>
    <div class="pair">${SIDES.map((s) => `<div><div class="title" id="title-${s}"></div>
      <canvas id="canvas-${s}" width="${N}" height="${N}" role="img"></canvas></div>`).join("")}</div>
    <p class="legend"><span id="about"></span>Gray: unlabeled points; red crosses: generated ones;
      blue circles and orange squares: the labels, once they have entered.</p>
    <svg id="dots" role="img"></svg>
    <output id="said"></output>
  </div>`;
  const at = (id) => root.querySelector(`#${id}`);
  const percent = (byte) => `${Math.round(byte / 2.55)} %`;

  // Bilinear between the places of the map, -1 to 1; row 0 is the lowest.
  const enlarge = (levels) => {
    const values = new Float32Array(N * N);
    const map = Float32Array.from(levels, (level) => (level / half - 1) * Math.abs(level / half - 1));
    for (let py = 0; py < N; py++) {
      const y = Math.min((1 - (py + 0.5) / N) * (side - 1), side - 1.001), row = Math.floor(y), ty = y - row;
      for (let px = 0; px < N; px++) {
        const x = Math.min(((px + 0.5) / N) * (side - 1), side - 1.001), i = row * side + Math.floor(x);
        const tx = x % 1;
        const low = map[i] * (1 - tx) + map[i + 1] * tx;
        const high = map[i + side] * (1 - tx) + map[i + side + 1] * tx;
        values[py * N + px] = low * (1 - ty) + high * ty;
      }
    }
    return values;
  };
  const place = (points, i) => [(points[2 * i] * N) / 255, N - (points[2 * i + 1] * N) / 255];
  const paint = (canvas, frame, kind, known, draw) => {
    const context = canvas.getContext("2d"), image = context.createImageData(N, N);
    const cells = side * side;
    const values = enlarge(frame.subarray(kind === "class" ? 0 : cells, kind === "class" ? cells : 2 * cells));
    const above = (i) => values[i] > 1e-4;
    for (let i = 0; i < N * N; i++) {
      const line = i % N < N - 2 && i < N * (N - 2) && (above(i) !== above(i + 2) || above(i) !== above(i + 2 * N));
      image.data.set(line ? INK : color[kind](values[i]), 4 * i);
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    context.fillStyle = "#6f7983";
    for (let i = 0; i < cloud.length / 2; i++) {
      const [x, y] = place(cloud, i);
      context.fillRect(x - 1, y - 1, 2, 2);
    }
    const generated = frame.subarray(2 * cells, size - 1);
    context.strokeStyle = "#d62f4b";
    context.lineWidth = 1.6;
    context.beginPath();
    for (let i = 0; i < generated.length / 2; i++) {
      const [x, y] = place(generated, i);
      context.moveTo(x - 3, y - 3);
      context.lineTo(x + 3, y + 3);
      context.moveTo(x - 3, y + 3);
      context.lineTo(x + 3, y - 3);
    }
    context.stroke();
    context.strokeStyle = "#fff";
    for (let i = 0; known && i < classes[draw].length; i++) {
      const [x, y] = place(labeled[draw], i);
      context.fillStyle = `rgb(${classes[draw][i] ? ORANGE : BLUE})`;
      context.beginPath();
      classes[draw][i] ? context.rect(x - 6, y - 6, 12, 12) : context.arc(x, y, 7, 0, 7);
      context.fill();
      context.stroke();
    }
  };
  // A row a method, a dot a draw; those of the two runs in the picture are large.
  const dots = (shown, draw) => {
    const width = at("dots").clientWidth || 600, left = 160, height = 24 * methods.length + 28;
    const x = (share) => left + (2 * share - 1) * (width - left - 24);
    at("dots").setAttribute("viewBox", `0 0 ${width} ${height}`);
    at("dots").innerHTML = [0.5, 0.75, 1].map((share) =>
      `<path d="M${x(share)},0V${height - 24}" stroke="#e3e7ea"/>
       <text x="${x(share)}" y="${height - 6}" text-anchor="middle">${share > 0.5 ? "" : "≤ "}${100 * share}%</text>`).join("") +
      methods.map(({ name, accuracy }, row) => `<text x="0" y="${24 * row + 17}">${escape(name)}</text>` +
        accuracy.map((share, d) => {
          const lit = shown.includes(row) && d === draws[draw];
          return `<circle cx="${x(Math.max(share, 0.5))}" cy="${24 * row + 12}" r="${lit ? 8 : 3.5}"
            fill="${lit ? "#22303c" : "#9aa3ad"}" fill-opacity="${lit ? 1 : 0.6}"/>`;
        }).join("")).join("");
    const told = shown.map((m) => `${methods[m].name} ${percent(255 * methods[m].accuracy[draws[draw]])}`);
    at("dots").setAttribute("aria-label",
      `Test accuracy at the end of all draws by method. Of this draw: ${told.join(", ")}.`);
  };

  const show = (bytes) => {
    const shown = SIDES.map((s) => Number(at(s).value)), draw = Number(at("draw").value);
    const moment = Number(at("moment").value), kind = at("class").checked ? "class" : "real";
    const now = [steps[moment], steps.at(-1)].map((n) => n.toLocaleString("en")).join(" of ");
    const told = SIDES.map((s, i) => {
      const { name, enter } = methods[shown[i]], known = steps[moment] > enter;
      const start = ((shown[i] * draws.length + draw) * steps.length + moment) * size;
      const frame = bytes.subarray(start, start + size), right = percent(frame[size - 1]);
      paint(at(`canvas-${s}`), frame, kind, known, draw);
      at(`title-${s}`).textContent = `${name}: ${right}`;
      const said = `${name} has ${right} of the test points right${known ? "" : ", without a label so far"}`;
      at(`canvas-${s}`).setAttribute("aria-label", `${kind === "class" ? "Classes" : "D"} at step ${now}: ${said}`);
      return said;
    });
    at("told").textContent = now;
    at("about").textContent = about[kind];
    at("moment").setAttribute("aria-valuetext", `step ${now}: ${told.join("; ")}`);
    at("said").textContent = `Step ${now}, draw ${draws[draw] + 1}: ${told.join("; ")}.`;
    const enters = [...new Set(shown.map((m) => methods[m].enter))].filter((step) => step > 0);
    at("tick").innerHTML = enters.map((step) =>
      `<span style="left: ${(100 * step) / steps.at(-1)}%">labels enter</span>`).join("");
    dots(shown, draw);
  };
  SIDES.forEach((s, i) => { at(s).value = pair[i]; });
  at("class").checked = true;
  at("moment").value = steps.length - 1;

  const packed = Uint8Array.from(atob(film), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  new Response(stream).arrayBuffer().then((buffer) => {
    const bytes = new Uint8Array(buffer);
    root.addEventListener("input", () => show(bytes));
    new ResizeObserver(() => show(bytes)).observe(root);
  });
}
