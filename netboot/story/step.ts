/**
 * What the network side sees of a machine that boots. Every server (DHCP, TFTP, HTTP) tells each packet or request
 * as one step; the story of `boots.ts` collects them, and `diagnose.ts` says why a boot stopped.
 */

/** Whom a step is about. A server names what it knows; the story finds the MAC that uses an address. */
export interface Who {
  /** Lower-case MAC with colons, null where the server sees an address only. */
  readonly mac: string | null;
  /** IPv4 address in dotted form, null before the machine has one. */
  readonly address: string | null;
}

/** What a machine's firmware says of itself in DHCP. */
export interface Firmware {
  /** First known code of option 93, null when it is absent. */
  readonly architecture: number | null;
  /** Text of option 60 and of option 77. */
  readonly vendorClass: string | null;
  readonly userClass: string | null;
  /** Option 97 as RFC 4122 text. */
  readonly uuid: string | null;
}

/** How a reply was shaped: by whom the address comes, and what of the PXE options it carries. */
export type ReplyForm =
  /** Address and boot file in one reply, with option 43 (discovery control 8) or without it. */
  | 'full-43'
  | 'full-plain'
  /** Boot file beside another DHCP server, with option 43, without it (answers on 4011 follow), or by option 67 only. */
  | 'proxy-43'
  | 'proxy-4011'
  | 'proxy-67'
  /** UEFI HTTP boot: a URL, option 60 is HTTPClient. */
  | 'http'
  /** An address and nothing of booting. */
  | 'address-only';

/** Why the machine asked, as RFC 2131 tells it from the fields of a REQUEST. */
export type RequestKind = 'selecting' | 'init-reboot' | 'renewing' | 'rebinding';

/** What a file over HTTP is to the boot. */
export type FileRole = 'binary' | 'kernel' | 'initrd' | 'squashfs' | 'image' | 'local-boot' | 'other';

type DhcpNews =
  | ({
      readonly kind: 'discover';
      /** Seconds since the client began, as it says. */
      readonly seconds: number;
      /** Address of the relay that passed it on. */
      readonly relay: string | null;
    } & Firmware)
  | {
      readonly kind: 'offer';
      readonly form: ReplyForm;
      /** Address that the server answers from, and address offered (null when it is a proxy's). */
      readonly server: string;
      readonly offered: string | null;
      readonly bootFile: string | null;
      /** Another DHCP server that was seen on this interface, where one was. */
      readonly beside?: string;
      /** Name of the rule that chose, and the chain of reasons, in order. */
      readonly rule: string;
      readonly reasons: readonly string[];
    }
  | {
      /** An offer of another DHCP server, where it is seen. */
      readonly kind: 'foreign-offer';
      readonly server: string;
    }
  | {
      /** Deliberately no answer. */
      readonly kind: 'ignored';
      readonly message: string;
      readonly reasons: readonly string[];
    }
  | {
      readonly kind: 'request';
      readonly request: RequestKind;
      /** Server that the client chose (option 54), and whether it is this one. */
      readonly server: string | null;
      readonly ours: boolean;
      readonly wanted: string | null;
    }
  | {
      readonly kind: 'ack';
      readonly server: string;
      readonly assigned: string;
      readonly leaseSeconds: number;
      readonly bootFile: string | null;
    }
  | { readonly kind: 'nak'; readonly server: string; readonly reason: string }
  | { readonly kind: 'decline'; readonly declined: string }
  | { readonly kind: 'release'; readonly released: string }
  | { readonly kind: 'inform' }
  /** The second step of a proxy, UDP port 4011. */
  | ({ readonly kind: 'boot-server-request' } & Firmware)
  | {
      readonly kind: 'boot-server-reply';
      readonly server: string;
      readonly bootFile: string | null;
      readonly reasons: readonly string[];
    };

/** Why a transfer over TFTP did not end well. */
export type TransferEnd =
  | 'timeout'
  | 'aborted'
  | 'not-found'
  | 'refused'
  | 'too-busy'
  | 'too-large'
  | 'shutdown';

type TftpNews =
  /** The client asked for the size and broke off, as EDK2 does before it fetches: no failure. */
  | { readonly kind: 'tftp-probe'; readonly file: string; readonly bytes: number }
  | {
      readonly kind: 'tftp-start';
      readonly file: string;
      readonly bytes: number;
      readonly blockSize: number;
      readonly windowSize: number;
    }
  | {
      readonly kind: 'tftp-done';
      readonly file: string;
      readonly bytes: number;
      readonly milliseconds: number;
      readonly resent: number;
    }
  | {
      readonly kind: 'tftp-failed';
      readonly file: string;
      /** Bytes that the client had acknowledged. */
      readonly bytes: number;
      readonly end: TransferEnd;
      /** What the client said in its ERROR packet, or the sentence of ours. */
      readonly message: string;
    };

type HttpNews =
  | { readonly kind: 'ipxe'; readonly version: string | null; readonly platform: string | null }
  | {
      readonly kind: 'script';
      readonly script: 'bootstrap' | 'machine' | 'autoexec';
      /** What the script makes the machine do: flash, local, inventory, wait ... */
      readonly action: string;
      readonly reason: string;
    }
  | {
      readonly kind: 'file';
      readonly role: FileRole;
      readonly file: string;
      /** Bytes sent, bytes of the file, and whether the last byte was sent. */
      readonly bytes: number;
      readonly total: number;
      readonly complete: boolean;
      readonly milliseconds: number;
    }
  /** The second initrd with the boot's token. */
  | { readonly kind: 'token' }
  | { readonly kind: 'agent'; readonly version: string | null }
  | { readonly kind: 'plan'; readonly action: string }
  | { readonly kind: 'inventory'; readonly disks: number }
  | { readonly kind: 'write'; readonly bytes: number; readonly total: number | null }
  | { readonly kind: 'verify'; readonly bytes: number; readonly total: number | null }
  | { readonly kind: 'reboot' }
  | { readonly kind: 'local-boot'; readonly how: string }
  | { readonly kind: 'done'; readonly authenticated: boolean }
  | { readonly kind: 'failed'; readonly step: string; readonly cause: string }
  /** The installed system was seen: by its DHCP class, a report of its own, or another sign. */
  | { readonly kind: 'alive'; readonly sign: string };

/** A step without its time and machine. */
export type StepNews = DhcpNews | TftpNews | HttpNews;
export type StepKind = StepNews['kind'];

/** `at`: milliseconds since 1970 UTC. */
export type Step = { readonly at: number } & Who & StepNews;
/** The step of one kind. */
export type StepOf<Kind extends StepKind> = Extract<Step, { readonly kind: Kind }>;

export type StepObserver = (step: Step) => void;

/** Where a datagram came from or goes to. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** A UDP datagram as it was received or sent, for the boot's capture file. The payload is not changed afterwards. */
export interface Datagram extends Who {
  readonly at: number;
  /** It is known to be of a system that wants an address and no boot: no boot begins with it. */
  readonly plain?: boolean;
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly payload: Uint8Array;
}

export type DatagramObserver = (datagram: Datagram) => void;

/** What servers tell. Neither call throws or waits. */
export interface Witness {
  readonly step: StepObserver;
  readonly datagram: DatagramObserver;
}

/** For servers that run without a story. */
export const nobody: Witness = { step() {}, datagram() {} };
