/** The benches that have a section of their own in the report, by the name of their group. */
import { lacks } from '../../netboot/dhcp/tests/lab.ts';
import type { Run, Section } from './finding.ts';
import type { sectionGroups } from './groups.ts';
import { benchDhcp } from './network/dhcp.ts';
import { benchRegistry } from './network/registry.ts';
import { benchServing } from './network/serve.ts';
import { benchTftp } from './network/tftp.ts';
import { benchWindow } from './window.ts';

export type SectionGroup = (typeof sectionGroups)[number];

export const sectionBenches: Readonly<Record<SectionGroup, (run: Run) => Promise<Section>>> = {
  serve: benchServing,
  registry: benchRegistry,
  dhcp: benchDhcp,
  tftp: benchTftp,
  window: benchWindow,
};

/** Titles of their sections, in the order of the report. */
export const sectionTitles = ['Serving an image', 'The registry', 'DHCP', 'TFTP', 'The window'] as const;

const programs: Readonly<Record<SectionGroup, readonly string[]>> = {
  serve: ['nginx', 'curl'],
  registry: ['curl'],
  dhcp: ['perfdhcp', 'dnsmasq'],
  tftp: ['atftp', 'atftpd', 'dnsmasq'],
  window: ['Xvfb'],
};

/** Why a group cannot be measured here, null where it can. */
export const noSectionBench = (name: SectionGroup): string | null => lacks(...programs[name]) || null;
