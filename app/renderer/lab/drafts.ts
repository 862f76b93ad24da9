/** What was begun in forms and not saved yet: it outlives the page that it stands on, until it is saved or taken back. */
const drafts = new Map<string, unknown>();

// Another page of the appliance keeps them; whoever leaves the pages is asked.
window.addEventListener('beforeunload', (event) => {
  if (drafts.size > 0) event.preventDefault();
});

/** What was kept under `name`; undefined when nothing was. */
export function draftOf<Draft>(name: string): Draft | undefined {
  return drafts.get(name) as Draft | undefined;
}

/** Keeps `draft` under `name`; undefined forgets it. */
export function keepDraft(name: string, draft: unknown): void {
  if (draft === undefined) drafts.delete(name);
  else drafts.set(name, draft);
}

/** Everything that they were about is another one now. */
export function forgetDrafts(): void {
  drafts.clear();
}
