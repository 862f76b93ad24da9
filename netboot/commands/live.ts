import { ExitCode } from '../../shared/failure.ts';
import { installLive } from '../boot/install.ts';
import type { Loaded } from '../config/load.ts';

/** `bty-web live install FOLDER`: machines boot what was built there. */
export async function installLiveCommand({ config }: Loaded, folder: string): Promise<ExitCode> {
  const files = await installLive(folder, config.bootDir);
  for (const { name, size } of files) process.stdout.write(`${name}: ${(size / 1e6).toFixed(1)} MB\n`);
  process.stdout.write(`Installed in ${config.bootDir}; machines boot it from now on.\n`);
  return ExitCode.ok;
}
