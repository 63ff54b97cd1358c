// The three tokenizers of llmlib.tokenizer, in the browser: the same ids for every text, held by a test.
// `\s` is spelled out because JavaScript's and Python's white space differ in two characters.
window.ttaTokenizers ??= (() => {
  const utf8 = new TextEncoder(), strict = new TextDecoder("utf-8", {fatal: true, ignoreBOM: true});
  const compile = pattern => new RegExp(pattern.replace(/\\(.)/gs, (all, c) =>
    c === "s" ? "\\p{White_Space}" : c === "S" ? "\\P{White_Space}" : all), "gu");
  const hex = byte => byte.toString(16).toUpperCase().padStart(2, "0");
  function pieces(text, pattern, keepGaps) {
    const result = [];
    let end = 0;
    for (const match of text.matchAll(pattern)) {
      if (!match[0]) continue;
      if (keepGaps && match.index > end) result.push(text.slice(end, match.index));
      result.push(match[0]);
      end = match.index + match[0].length;
    }
    if (keepGaps && end < text.length) result.push(text.slice(end));
    return result;
  }
  function bpe(spec) {
    const pattern = compile(spec.pattern), rank = new Map(), bytes = [], WIDE = 2 ** 24;
    spec.alphabet.forEach((id, byte) => bytes[id] = [byte]);
    for (let i = 0; i < spec.merges.length; i += 3) {
      const [left, right, made] = spec.merges.slice(i, i + 3);
      rank.set(left * WIDE + right, [i, made]);
      bytes[made] = [...bytes[left], ...bytes[right]];
    }
    // always the pair of lowest rank, and of equal pairs the leftmost
    function merge(ids) {
      for (;;) {
        let best = [Infinity], place = -1;
        for (let i = 0; i + 1 < ids.length; i++) {
          const found = rank.get(ids[i] * WIDE + ids[i + 1]);
          if (found && found[0] < best[0]) { best = found; place = i; }
        }
        if (place < 0) return ids;
        ids.splice(place, 2, best[1]);
      }
    }
    return {
      encode: text => pieces(text, pattern, true).flatMap(p => merge([...utf8.encode(p)].map(b => spec.alphabet[b]))),
      show(id) {
        try { return strict.decode(new Uint8Array(bytes[id])); }
        catch { return "⟨" + bytes[id].map(hex).join(" ") + "⟩"; }
      },
    };
  }
  function ordinary(spec) {
    const special = new Set(spec.special), known = new Map();
    spec.tokens.forEach((token, id) => { if (token !== null && !special.has(token)) known.set(token, id); });
    return known;
  }
  function wordpiece(spec) {
    const pattern = compile(spec.pattern), known = ordinary(spec);
    const longest = Math.max(0, ...[...known.keys()].map(token => [...token].length));
    function cut(word) {
      const chars = [...word], ids = [];
      if (chars.length > spec.max_input_chars) return [spec.unk_id];
      for (let start = 0; start < chars.length;) {
        const prefix = start ? spec.prefix : "";
        let end = Math.min(chars.length, start + longest), id;
        while (end > start && (id = known.get(prefix + chars.slice(start, end).join(""))) === undefined) end--;
        if (end === start) return [spec.unk_id];
        ids.push(id);
        start = end;
      }
      return ids;
    }
    return {encode: text => pieces(text, pattern, false).flatMap(cut), show: id => spec.tokens[id]};
  }
  function unigram(spec) {
    const known = ordinary(spec), score = token => spec.scores[known.get(token)];
    const pattern = spec.pattern === null ? null : compile(spec.pattern);
    const unknown = spec.scores.reduce((a, b) => Math.min(a, b), Infinity) - 10;
    const longest = Math.max(0, ...[...known.keys()].map(token => [...token].length));
    const byteIds = Array.from({length: 256}, (_, b) => spec.tokens.indexOf(`<0x${hex(b)}>`));
    const words = text => pattern ? pieces(text, pattern, true).map(p => p.replaceAll(" ", "▁"))
      : text.replaceAll(" ", "▁").match(/▁[^▁]*|[^▁]+/gu) ?? [];
    // Viterbi: the best way to each place, then back from the end
    function cut(word) {
      const chars = [...word], n = chars.length;
      const best = [0, ...Array(n).fill(-Infinity)], back = Array(n + 1).fill(0);
      const reach = (start, end, s) => { if (best[start] + s > best[end]) { best[end] = best[start] + s; back[end] = start; } };
      for (let start = 0; start < n; start++) {
        let part = "", single = false;
        for (let end = start + 1; end <= Math.min(n, start + longest); end++) {
          part += chars[end - 1];
          if (!known.has(part)) continue;
          single ||= end === start + 1;
          reach(start, end, score(part));
        }
        if (!single) reach(start, start + 1, unknown);
      }
      const parts = [];
      for (let end = n; end > 0; end = back[end]) parts.unshift(chars.slice(back[end], end).join(""));
      return parts;
    }
    // unknown neighbours are taken together, as bytes or as one unknown token
    function spell(text) {
      if (!text) return [];
      const ids = spec.byte_fallback ? [...utf8.encode(text)].map(b => byteIds[b]) : [-1];
      return ids.includes(-1) ? [spec.unk_id] : ids;
    }
    function lookUp(parts) {
      const ids = [];
      let pending = "";
      for (const part of parts) {
        const id = known.get(part);
        if (id === undefined || id === spec.unk_id) { pending += part; continue; }
        ids.push(...spell(pending), id);
        pending = "";
      }
      return [...ids, ...spell(pending)];
    }
    return {encode: text => words(text).flatMap(word => lookUp(cut(word))), show: id => spec.tokens[id].replaceAll("▁", " ")};
  }
  return {bpe, wordpiece, unigram};
})();
if (!customElements.get("tta-tokens")) customElements.define("tta-tokens", class extends window.ttaWidget {
  setup() {
    this.tools = this.data.map(spec => window.ttaTokenizers[spec.type](spec));
    this.box = this.querySelector("textarea");
    this.box.addEventListener("input", () => this.draw());
  }
  encode(which, text) {
    return this.tools[which].encode(text);
  }
  draw() {
    const text = this.box.value, length = [...text].length;
    const cuts = this.tools.map(tool => tool.encode(text));
    this.querySelectorAll(".tx-cut").forEach((section, k) => {
      const ids = cuts[k], per = ids.length ? (length / ids.length).toFixed(2) : "–";
      section.querySelector(".tx-count span").textContent = `${ids.length} tokens, ${per} characters each`;
      section.querySelector(".tx-chips").replaceChildren(...ids.map(id => this.chip(this.tools[k].show(id), id)));
    });
    const rows = this.querySelectorAll("tbody tr");
    cuts.forEach((ids, k) => {
      const cells = rows[k].querySelectorAll("td");
      cells[0].textContent = ids.length;
      cells[1].textContent = ids.length ? (length / ids.length).toFixed(2) : "–";
      cells[2].textContent = ids.join(" ");
    });
    this.querySelector(".tx-read span").textContent = this.verdict(cuts, length);
  }
  verdict(cuts, length) {
    const names = this.data.map(spec => spec.name), counts = cuts.map(ids => ids.length);
    const all = counts.map((n, k) => `${names[k]} ${n}`).join(", ");
    return `${length} characters become: ${all}.`;
  }
  chip(shown, id) {
    const chip = document.createElement("span");
    chip.className = `tx-chip tx-c${id % 5}`;
    const token = document.createElement("span");
    for (const part of shown.split(/([ \n\t])/)) {
      const mark = {" ": "␣", "\n": "↵", "\t": "⇥"}[part];
      if (mark) token.append(Object.assign(document.createElement("i"), {textContent: mark}));
      else if (part) token.append(part);
    }
    chip.append(token, Object.assign(document.createElement("small"), {textContent: id}));
    return chip;
  }
});
