import { join } from 'node:path';
import type { BrowserWindow } from 'electron';
import type { ApplianceWish } from '../../../shared/app/appliance.ts';
import { announce, type Operations } from '../door.ts';
import type { Program } from '../program.ts';
import type { Store } from '../store.ts';
import { ApplianceMode } from './mode.ts';
import { PagesView } from './view.ts';

export type ApplianceOperations = Pick<
  Operations,
  Extract<keyof Operations, `appliance.${string}` | 'window.leave'>
>;

/** What the rest of the app does for appliance mode. */
export interface AppliancePartNeeds {
  /** Has the person choose a folder. */
  readonly browse: () => Promise<string | null>;
  /** Closes the app. */
  readonly leave: () => void;
}

/** Appliance mode and its pages, as a part of the app's one window. */
export class AppliancePart {
  readonly mode: ApplianceMode;
  readonly pages: PagesView;

  constructor(program: Program, data: string, wish: Store<ApplianceWish | null>, window: BrowserWindow) {
    this.pages = new PagesView(window);
    this.mode = new ApplianceMode(program, join(data, 'appliance'), wish, {
      changed: (state) => announce(window, 'appliance', state),
      machines: (machines) => announce(window, 'machines', machines),
      log: (lines) => announce(window, 'log', lines),
      pages: (open) => {
        if (open === null) this.pages.close();
        else void this.pages.open(open.url, open.cookie);
      },
    });
  }

  operations({ browse, leave }: AppliancePartNeeds): ApplianceOperations {
    const { mode, pages } = this;
    const done = (work: () => void): null => {
      work();
      return null;
    };
    return {
      'appliance.look': async () => {
        await mode.look();
        return null;
      },
      'appliance.start': async (wish) => {
        await mode.start(wish);
        return null;
      },
      'appliance.stop': () => done(() => mode.stop()),
      'appliance.folder': browse,
      'appliance.frame': ({ frame }) => done(() => pages.show(frame)),
      'appliance.stay': async ({ stay }) => {
        await mode.setStay(stay);
        return null;
      },
      'appliance.password': () => mode.password(),
      'appliance.watch': ({ mac }) => mode.watch(mac),
      'appliance.log': () => mode.log(),
      'window.leave': async ({ stay }) => {
        await mode.setStay(stay);
        leave();
        return null;
      },
    };
  }
}
