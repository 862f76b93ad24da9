import { type BrowserWindow, Notification, powerSaveBlocker } from 'electron';
import { type BatchState, isBusy, lanesOf, shareOfBatch, worstOf } from '../../shared/app/batch.ts';
import type { Words } from '../../shared/app/words.ts';

/** What a running flash does to the rest of the desktop: it stays awake, shows progress in the dock, and tells its end. */
export class Manners {
  #blocker: number | null = null;
  #shown = -1;

  follow(window: BrowserWindow | null, batch: BatchState | null, words: Words): void {
    const busy = isBusy(batch);
    this.#keepAwake(busy);
    if (!window || window.isDestroyed()) return;
    const share = busy && batch ? (shareOfBatch(batch) ?? 2) : -1;
    if (share === this.#shown) return;
    this.#shown = share;
    // More than 1 is a bar without an end, less than 0 is none.
    window.setProgressBar(share);
    window.setTitle(share >= 0 && share <= 1 ? `${Math.floor(share * 100)} % · ${words.app}` : words.app);
  }

  /** Tells the end of a batch to a person who looks elsewhere. */
  tellEnd(window: BrowserWindow | null, batch: BatchState, words: Words): void {
    if (!window || window.isDestroyed() || window.isFocused()) return;
    window.flashFrame(true);
    if (!Notification.isSupported()) return;
    const worst = worstOf(lanesOf(batch), batch.verify);
    const notification = new Notification({ title: words.ended[worst], body: batch.image.name });
    notification.on('click', () => {
      if (!window.isDestroyed()) window.show();
    });
    notification.show();
  }

  get awake(): boolean {
    return this.#blocker !== null && powerSaveBlocker.isStarted(this.#blocker);
  }

  #keepAwake(busy: boolean): void {
    if (busy && this.#blocker === null) this.#blocker = powerSaveBlocker.start('prevent-app-suspension');
    if (!busy && this.#blocker !== null) {
      powerSaveBlocker.stop(this.#blocker);
      this.#blocker = null;
    }
  }
}
