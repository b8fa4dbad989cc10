// Which blocks of the page are in or near sight. The server is told, and reads and sends points for no others.

// Streamlit scrolls within an element of its own, to which only scrollMargin applies.
const NEAR = "400px";
// What comes into sight is told of soon, though while somebody scrolls on not more than twice a second; what left it costs little for a while.
const SETTLES_MS = 100;
const BETWEEN_MS = 500;
const LEAVES_MS = 3000;
const ANSWER_MS = 10000;

export class Near {
  // tell({id, blocks, axis}): blocks by id, and series that the page's axis needs, as `axis()` gives them.
  constructor(axis) {
    this.axis = axis;
    this.blocks = new Map();
    this.inside = new Set();
    this.sought = new Set();
    this.told = new Set();
    this.waiting = [];
    this.told_ms = -Infinity;
    this.unanswered = false;
    this.observer = new IntersectionObserver((entries) => this.watched(entries), { rootMargin: NEAR, scrollMargin: NEAR });
  }

  watch(node, id) {
    this.blocks.set(node, id);
    this.observer.observe(node);
  }

  forget(node) {
    this.blocks.delete(node);
    this.inside.delete(node);
    this.observer.unobserve(node);
  }

  watched(entries) {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) this.inside.add(target);
      else this.inside.delete(target);
      if (!target.isConnected) this.forget(target);
    }
    this.look();
  }

  wanted() {
    const blocks = [...this.inside, ...this.sought].map((node) => this.blocks.get(node)).filter((id) => id !== undefined);
    return { blocks: [...new Set(blocks)], axis: this.axis() };
  }

  // Makes an appointment to tell the server, where there is something to tell; an earlier one holds.
  look() {
    const { blocks, axis } = this.wanted();
    const names = [...blocks, ...axis];
    const news = names.some((name) => !this.told.has(name));
    if (!this.heard || (!news && names.length === this.told.size)) return;
    const now_ms = performance.now();
    const due_ms = news ? Math.max(now_ms + SETTLES_MS, this.told_ms + BETWEEN_MS) : now_ms + LEAVES_MS;
    if (this.timer && this.due_ms <= due_ms) return;
    clearTimeout(this.timer);
    this.due_ms = due_ms;
    this.timer = setTimeout(() => this.say(), due_ms - now_ms);
  }

  say() {
    clearTimeout(this.timer);
    this.timer = null;
    const { blocks, axis } = this.wanted();
    const names = new Set([...blocks, ...axis]);
    if (names.size === this.told.size && [...names].every((name) => this.told.has(name))) return;
    this.told = names;
    this.told_ms = performance.now();
    this.id = `${Date.now()}.${names.size}`;
    this.unanswered = true;
    this.tell?.({ id: this.id, blocks, axis });
  }

  // A message: what it was made for. One that is made for something else than was told here has its own blocks in it.
  answered({ whole, sighted, blocks }) {
    this.heard = true;
    if (whole && sighted !== this.id) this.told = new Set(blocks ?? []);
    if (sighted === this.id) {
      this.unanswered = false;
      for (const done of this.waiting.splice(0)) done();
    }
    this.look();
  }

  // Resolves once the blocks have their newest points wherever they stand, or nobody answers.
  async brought(...nodes) {
    const sought = nodes.filter((node) => !this.told.has(this.blocks.get(node)));
    // What was told is not here before it was answered.
    if (!sought.length && !this.unanswered) return;
    for (const node of sought) this.sought.add(node);
    await new Promise((done) => {
      this.waiting.push(done);
      setTimeout(done, ANSWER_MS);
      this.say();
    });
    for (const node of sought) this.sought.delete(node);
    this.look();
  }

  stop() {
    clearTimeout(this.timer);
    this.observer.disconnect();
  }
}
