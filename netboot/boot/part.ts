/** Boot files as a part of the appliance. */
import type { Part } from '../appliance.ts';
import type { Services } from '../services.ts';
import { BootFiles } from './files.ts';

const tables = new WeakMap<object, BootFiles>();

/** The boot files of this appliance. */
export function bootFilesOf(services: Pick<Services, 'config' | 'clock'>): BootFiles {
  // The configuration is one object for the life of an appliance, and exists before its services do.
  const { bootDir, ipxeDir } = services.config;
  const found = tables.get(services.config) ?? new BootFiles({ bootDir, ipxeDir, clock: services.clock });
  tables.set(services.config, found);
  return found;
}

/** Builds what is missing and can be built, while the appliance already serves. */
export function bootFilesPart(services: Services): Part {
  const { log } = services;
  const building = bootFilesOf(services)
    .build()
    .then((made) => {
      if (made.length > 0) log.info('boot files', { built: made });
    })
    .catch((error: unknown) => log.error('boot files', { problem: String(error) }));
  return { name: 'boot files', close: () => building };
}
