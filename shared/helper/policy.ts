import { applianceAction, helperAction } from './elevation.ts';

/** What is asked for, in the words of an action file. */
interface Action {
  readonly id: string;
  readonly description: string;
  readonly message: string;
  readonly icon: string;
  /** First word of the command line that it is for. */
  readonly word: string;
  /** Whether an answer is good for some minutes: for what may be started again by itself. */
  readonly keeps: boolean;
}

const actions = {
  helper: {
    id: helperAction,
    description: 'Write disk images with bty',
    message: 'bty needs permission to overwrite the disks that you chose with a disk image',
    icon: 'drive-removable-media',
    word: 'helper',
    keeps: false,
  },
  appliance: {
    id: applianceAction,
    description: 'Boot machines over the network with bty',
    message: 'bty needs permission to answer DHCP and TFTP on the network that you chose',
    icon: 'network-wired',
    word: 'desktop',
    keeps: true,
  },
} as const satisfies Readonly<Record<string, Action>>;

/**
 * The action file of polkit (polkit(8), "Declaring actions") for the program at `program`: whose prompt names the app
 * and the purpose, and which asks an administrator. Throws on a path that pkexec(1) would not match.
 */
export function policyText(program: string, purpose: keyof typeof actions = 'helper'): string {
  if (!/^(\/[\w.@+-]+)+$/.test(program) || /\/\.{1,2}(\/|$)/.test(program))
    throw new Error(`not a plain absolute path: ${program}`);
  const { id, description, message, icon, word, keeps } = actions[purpose];
  const asks = keeps ? 'auth_admin_keep' : 'auth_admin';
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE policyconfig PUBLIC "-//freedesktop//DTD polkit Policy Configuration 1.0//EN"
 "http://www.freedesktop.org/software/polkit/policyconfig-1.dtd">
<policyconfig>
  <vendor>bty</vendor>
  <action id="${id}">
    <description>${description}</description>
    <message>${message}</message>
    <icon_name>${icon}</icon_name>
    <defaults>
      <allow_any>${asks}</allow_any>
      <allow_inactive>${asks}</allow_inactive>
      <allow_active>${asks}</allow_active>
    </defaults>
    <annotate key="org.freedesktop.policykit.exec.path">${program}</annotate>
    <annotate key="org.freedesktop.policykit.exec.argv1">${word}</annotate>
  </action>
</policyconfig>
`;
}
