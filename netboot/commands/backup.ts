import { ExitCode } from '../../shared/failure.ts';
import type { Loaded } from '../config/load.ts';
import { backup, restore } from '../store/backup.ts';
import { version } from '../version.ts';

export function backupTo({ config }: Loaded, file: string): ExitCode {
  const made = backup(config.stateDir, file, Date.now(), `bty-web ${version}`);
  process.stdout.write(`${made.path}: ${made.bytes} bytes, state of version ${made.version}.\n`);
  process.stdout.write(
    'Images and boot files are not in it: they can be fetched again, or copied as files.\n',
  );
  return ExitCode.ok;
}

export function restoreFrom({ config }: Loaded, file: string): ExitCode {
  const made = restore(config.stateDir, file, Date.now());
  process.stdout.write(`${made.path}: restored, state of version ${made.version}.\n`);
  return ExitCode.ok;
}
