// One choice for the run, one slider for the row; a click on a row chooses it as well.
if (!customElements.get("tta-trace")) customElements.define("tta-trace", class extends window.ttaWidget {
  setup() {
    this.lists = [...this.querySelectorAll("ol.tx-steps")];
    this.radios = [...this.querySelectorAll(".tx-runs input")];
    // one name for each instance: two on a page must not share a choice
    window.ttaTraces = (window.ttaTraces ?? 0) + 1;
    this.radios.forEach(radio => { radio.name = `tta-run-${window.ttaTraces}`; });
    this.radios.forEach((radio, i) => { radio.checked = i === 0; radio.addEventListener("change", () => this.draw()); });
    this.lists.forEach(list => [...list.children].forEach((item, r) => item.addEventListener("click", () => {
      this.slider.value = r; this.slider.focus({preventScroll: true}); this.draw();
    })));
  }
  draw() {
    const run = Math.max(0, this.radios.findIndex(radio => radio.checked)), reads = this.data.runs[run];
    this.slider.max = reads.length - 1;
    const at = +this.slider.value;
    this.lists.forEach((list, i) => { list.hidden = i !== run; });
    [...this.lists[run].children].forEach((item, r) => {
      item.classList.toggle("tx-on", r === at);
      item.classList.toggle("tx-later", r > at);
      if (r === at) item.setAttribute("aria-current", "step"); else item.removeAttribute("aria-current");
    });
    const row = this.lists[run].children[at];
    this.querySelector(".tx-read span").textContent = reads[at];
    this.say(this.slider, this.data.label, `${at + 1} of ${reads.length}`, `${reads[at]} ${row.querySelector(".tx-text").textContent}`);
  }
});
