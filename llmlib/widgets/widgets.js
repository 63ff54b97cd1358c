// The base of every interactive. An instance looks things up only inside itself, so any number share a page.
// A state is a list of values; the elements marked data-set="what" take them in document order, where `what`
// is "text", the name of a CSS property (--v) or the name of an attribute.
window.ttaWidget ??= class extends HTMLElement {
  connectedCallback() {
    // while the page is being parsed our children are not there yet
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => this.start(), {once: true});
    else this.start();
  }
  start() {
    const json = this.querySelector("script[type='application/json']");
    if (!json || this.data) return;
    this.data = JSON.parse(json.textContent);
    this.slider = this.querySelector("input.tx-state");
    this.slots = [...this.querySelectorAll("[data-set]")].map(el => [el, el.dataset.set]);
    this.slider?.addEventListener("input", () => this.draw());
    for (const d of this.querySelectorAll("details")) d.open = false;
    this.setup();
    this.draw();
  }
  setup() {}
  say(slider, label, at, read) {
    if (slider.type !== "range") return;
    slider.closest("label").querySelector("output").textContent = at;
    slider.setAttribute("aria-valuetext", `${label} ${at}. ${read}`);
  }
  draw() {
    const s = this.data.states[+this.slider.value];
    this.slots.forEach(([el, what], k) => {
      const v = s.set[k];
      if (what === "text") el.textContent = v;
      else if (what.startsWith("--")) el.style.setProperty(what, v);
      else el.setAttribute(what, v);
    });
    this.querySelector(".tx-read span").textContent = s.read;
    this.say(this.slider, this.data.label, s.at, s.read);
  }
};
for (const tag of ["tta-frames", "tta-curves", "tta-vectors", "tta-together"])
  if (!customElements.get(tag)) customElements.define(tag, class extends window.ttaWidget {});
