import { join } from 'node:path';
import { app, session } from 'electron';
import { Desk } from './desk.ts';
import { openingOfLink, openingOfWords } from './opening.ts';
import { confinePages, declareScheme, servePage } from './page.ts';
import { programsOf } from './program.ts';

/**
 * Where the parts of the app lie: beside this file when it is packed and when it is bundled for development. The
 * checkout is used only by an app that is not packed.
 */
const folder = __dirname;
const programs = programsOf(app.isPackaged, process.resourcesPath, process.env.BTY_CHECKOUT ?? process.cwd());

/** Words of the command line behind the program, and behind the app where Electron was told which one to run. */
const words = (argv: readonly string[]) => argv.slice(process.defaultApp ? 2 : 1);

function begin(): void {
  const desk = new Desk(folder, programs);
  app.on('second-instance', (_event, argv, cwd) => {
    desk.show();
    void openingOfWords(words(argv), cwd).then((opening) => desk.open(opening));
  });
  app.on('open-file', (event, path) => {
    event.preventDefault();
    desk.open({ location: path, by: 'file' });
  });
  app.on('open-url', (event, url) => {
    event.preventDefault();
    desk.open(openingOfLink(url));
  });
  app.on('activate', () => desk.show());
  app.on('window-all-closed', () => app.quit());
  app.on('will-quit', (event) => desk.quit(event));
  app.on('before-quit', (event) => desk.askBeforeQuit(event));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => desk.abandon());

  confinePages((contents, address) => desk.mayGo(contents, address));
  const opening = openingOfWords(words(process.argv), process.cwd());
  void app.whenReady().then(async () => {
    servePage(session.defaultSession, join(folder, 'renderer'));
    desk.open(await opening);
    await desk.begin();
  });
}

declareScheme();
app.setName('bty');
// On Linux the package's desktop entry says it, and the person may have chosen another program since.
if (app.isPackaged && process.platform !== 'linux') app.setAsDefaultProtocolClient('bty');
if (app.requestSingleInstanceLock()) begin();
else app.quit();
