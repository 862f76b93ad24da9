/** A binary heap: gives back what was pushed, smallest key first. */
export class Heap<Item extends { readonly key: number }> {
  readonly #items: Item[] = [];

  get size(): number {
    return this.#items.length;
  }

  peek(): Item | undefined {
    return this.#items[0];
  }

  push(item: Item): void {
    const items = this.#items;
    let at = items.length;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = items[above];
      if (parent === undefined || parent.key <= item.key) break;
      items[at] = parent;
      at = above;
    }
    items[at] = item;
  }

  pop(): Item | undefined {
    const items = this.#items;
    const smallest = items[0];
    const item = items.pop();
    if (item === undefined || items.length === 0) return smallest;
    let at = 0;
    for (;;) {
      const left = items[2 * at + 1];
      const right = items[2 * at + 2];
      const below =
        right !== undefined && left !== undefined && right.key < left.key ? 2 * at + 2 : 2 * at + 1;
      const child = items[below];
      if (child === undefined || child.key >= item.key) break;
      items[at] = child;
      at = below;
    }
    items[at] = item;
    return smallest;
  }
}
