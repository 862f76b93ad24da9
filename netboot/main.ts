import { desktopLine } from '../shared/desktop/protocol.ts';
import { asFailure, ExitCode, failure } from '../shared/failure.ts';
import { splitFlags } from './commands/explainflags.ts';
import { parseFlags } from './config/flags.ts';
import { effective, help } from './config/help.ts';
import { loadConfig } from './config/load.ts';
import { version } from './version.ts';

const print = (text: string) => void process.stdout.write(`${text}\n`);
const warn = (text: string) => void process.stderr.write(`bty-web: ${text}\n`);

async function main(args: readonly string[]): Promise<ExitCode> {
  // Before anything is read that the person who asked may have made.
  if (args[0] === 'desktop') (await import('./commands/asker.ts')).becomeAsker(process.env);
  const { own, rest } = args[0] === 'explain' ? splitFlags(args) : { own: [], rest: args };
  const { flags, words, help: asksHelp, version: asksVersion } = parseFlags(rest);
  if (asksHelp) {
    print(help());
    return ExitCode.ok;
  }
  if (asksVersion) {
    print(`bty-web ${version}`);
    return ExitCode.ok;
  }
  const loaded = loadConfig(flags, process.env);
  const [command, file] = words;
  if ((command === 'backup' || command === 'restore') && file !== undefined && words.length === 2) {
    const { backupTo, restoreFrom } = await import('./commands/backup.ts');
    return command === 'backup' ? backupTo(loaded, file) : restoreFrom(loaded, file);
  }
  switch (words.join(' ')) {
    case '':
    case 'serve':
      return (await import('./commands/serve.ts')).serve(loaded);
    case 'desktop':
      return (await import('./commands/desktop.ts')).desktop(loaded);
    case 'desktop interfaces':
      return (await import('./commands/interfaces.ts')).listInterfaces(loaded);
    case 'doctor':
      return (await import('./commands/doctor.ts')).doctor();
    case 'explain':
      return (await import('./commands/explain.ts')).explainCommand(loaded, own);
    case 'audit verify':
    case `audit verify ${words[2]}`:
      return (await import('./commands/audit.ts')).auditVerify(loaded, words[2] ?? null);
    case 'config':
      print(effective(loaded));
      return ExitCode.ok;
    case `live install ${words[2]}`:
      return (await import('./commands/live.ts')).installLiveCommand(loaded, words[2] ?? '');
    case `task validate ${words[2]}`:
      return (await import('./commands/task.ts')).validateCommand(words[2] ?? '');
    case 'task schema':
      return (await import('./commands/task.ts')).schemaCommand();
    case 'task key':
    case 'task key make':
      return (await import('./commands/task.ts')).keyCommand(loaded, words[2] === 'make');
    default:
      throw failure('USAGE', { problem: `bty-web knows no command "${words.join(' ')}".` });
  }
}

function stop(error: unknown): void {
  const found = asFailure(error);
  // The app understands lines of their own kind only.
  if (process.argv[2] === 'desktop')
    process.stdout.write(desktopLine({ kind: 'failed', failure: found.report() }));
  warn(found.message);
  if (found.advice !== '')
    warn(found.code === 'USAGE' ? 'Run bty-web --help to see what it takes.' : found.advice);
  if (found.code === 'INTERNAL' && error instanceof Error) warn(error.stack ?? '');
  process.exitCode = found.exitCode;
}

main(process.argv.slice(2)).then((code) => {
  process.exitCode ||= code;
}, stop);
