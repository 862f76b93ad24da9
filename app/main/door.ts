import { type BrowserWindow, ipcMain } from 'electron';
import { channels } from '../../shared/app/channels.ts';
import {
  type Announcement,
  type Announcements,
  type Answer,
  type Input,
  type Operation,
  parseCall,
  type Replies,
} from '../../shared/app/contract.ts';
import { asFailure, failure } from '../../shared/failure.ts';
import { isOurPage } from './page.ts';

/** What answers each operation. */
export type Operations = {
  readonly [Name in Operation]: (input: Input<Name>) => Replies[Name] | Promise<Replies[Name]>;
};

type Sender = Pick<Electron.IpcMainInvokeEvent, 'sender' | 'senderFrame'>;

/**
 * Lets the page of `window` in to `operations`: only its own main frame, only while it shows our page, and only with
 * messages that the contract knows.
 */
export function openDoor(window: BrowserWindow, operations: Operations): void {
  ipcMain.removeHandler(channels.call);
  ipcMain.handle(
    channels.call,
    async (event, operation: unknown, input: unknown): Promise<Answer<unknown>> => {
      try {
        if (!mayAsk(event, window))
          throw failure('MESSAGE_REFUSED', { problem: 'it is not the window of this app' });
        const call = parseCall(operation, input);
        if (call === null)
          throw failure('MESSAGE_REFUSED', { problem: `${shown(operation)} with what came along` });
        const answer = operations[call.operation] as (input: unknown) => unknown;
        return { ok: true, value: await answer(call.input) };
      } catch (error) {
        return { ok: false, failure: asFailure(error).report() };
      }
    },
  );
}

function mayAsk({ sender, senderFrame }: Sender, window: BrowserWindow): boolean {
  if (window.isDestroyed() || sender !== window.webContents || senderFrame === null) return false;
  return senderFrame.parent === null && isOurPage(senderFrame.url);
}

function shown(operation: unknown): string {
  return typeof operation === 'string' ? JSON.stringify(operation.slice(0, 60)) : `a ${typeof operation}`;
}

/** Tells the page something unasked. */
export function announce<Name extends Announcement>(
  window: BrowserWindow | null,
  name: Name,
  news: Announcements[Name],
): void {
  if (window && !window.isDestroyed() && isOurPage(window.webContents.getURL())) {
    window.webContents.send(channels.announce, name, news);
  }
}
