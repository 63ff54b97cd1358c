// One slider for the state (a head, a layer), one for the row; a click on a row chooses it as well.
if (!customElements.get("tta-heat")) customElements.define("tta-heat", class extends window.ttaWidget {
  setup() {
    this.picker = this.querySelector("input.tx-picker");
    this.lines = [...this.querySelectorAll(".tx-row:not(.tx-cols)")];
    this.strip = [...this.querySelectorAll(".tx-strip span")];
    this.picker.addEventListener("input", () => this.draw());
    this.lines.forEach((line, r) => line.addEventListener("click", () => { this.picker.value = r; this.picker.focus(); this.draw(); }));
  }
  draw() {
    const d = this.data, s = d.states[+this.slider.value], r = +this.picker.value, row = s.v[r];
    this.lines.forEach((line, i) => {
      line.classList.toggle("tx-on", i === r);
      line.querySelectorAll("i").forEach((cell, j) => {
        const v = s.v[i][j];
        cell.className = v === null ? "tx-off" : "";
        cell.style.setProperty("--v", v === null ? 0 : v / d.max);
      });
    });
    this.strip.forEach((chip, j) => {
      chip.style.setProperty("--v", (row[j] ?? 0) / d.max);
      chip.classList.toggle("tx-on", d.square && j === r);
    });
    this.querySelectorAll("tbody tr").forEach((tr, i) => tr.querySelectorAll("td").forEach((td, j) => {
      td.textContent = s.v[i][j] === null ? "—" : (s.v[i][j] / 1000).toFixed(2);
    }));
    const sentence = this.sentence(r, row);
    this.querySelector(".tx-row-read").textContent = sentence;
    this.querySelector(".tx-read span").textContent = s.read;
    this.say(this.slider, d.label, s.at, `${s.read} ${sentence}`);
    this.say(this.picker, d.rowLabel, d.rows[r], sentence);
  }
  // the three largest values of the row, in words
  sentence(r, row) {
    const top = row.map((v, j) => [v ?? -1, j]).filter(([v]) => v > 0).sort((a, b) => b[0] - a[0] || a[1] - b[1]).slice(0, 3);
    const where = top.map(([v, j]) => `“${this.data.cols[j].trim()}” ${(v / 1000).toFixed(2)}`).join(", ");
    return `“${this.data.rows[r].trim()}” ${this.data.verb} ${where || "nothing"}.`;
  }
});
