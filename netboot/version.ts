import { readFileSync } from 'node:fs';

/** Set by the packer (esbuild `define`); a bundle has no package.json beside it. */
declare const BTY_VERSION: string | undefined;

/** Version of this bty, as in package.json. */
export const version: string = typeof BTY_VERSION === 'string' ? BTY_VERSION : checkoutVersion();

function checkoutVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed === 'object' && parsed !== null && 'version' in parsed) return String(parsed.version);
  return '0.0.0';
}
