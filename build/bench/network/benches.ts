/** The benches of the network side, by the name of their group. */
import { lacks } from '../../../netboot/dhcp/tests/lab.ts';
import type { networkGroups } from '../groups.ts';
import { benchDhcp } from './dhcp.ts';
import type { Section } from './finding.ts';
import { benchRegistry } from './registry.ts';
import { benchServing } from './serve.ts';
import type { NetworkRun } from './stage.ts';
import { benchTftp } from './tftp.ts';

export type NetworkGroup = (typeof networkGroups)[number];

export const networkBenches: Readonly<Record<NetworkGroup, (run: NetworkRun) => Promise<Section>>> = {
  serve: benchServing,
  registry: benchRegistry,
  dhcp: benchDhcp,
  tftp: benchTftp,
};

/** Titles of their sections, in the order of the report. */
export const networkTitles = ['Serving an image', 'The registry', 'DHCP', 'TFTP'] as const;

const programs: Readonly<Record<NetworkGroup, readonly string[]>> = {
  serve: ['nginx', 'curl'],
  registry: ['curl'],
  dhcp: ['perfdhcp', 'dnsmasq'],
  tftp: ['atftp', 'atftpd', 'dnsmasq'],
};

/** Why a group cannot be measured here, null where it can. */
export const noNetworkBench = (name: NetworkGroup): string | null => lacks(...programs[name]) || null;
