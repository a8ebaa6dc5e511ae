/**
 * Who holds what in a snapshot: by task and descriptor where a process shows the file, else by what is left: mappings,
 * files in flight between processes, the kernel itself.
 */
import type { Snapshot, SnapshotFile, SnapshotObject } from "../../collectors/snapshot/model.js";

/** One reference on an object. */
export interface Holder {
  /** `qemu (1234) fd 12`; several where the file is shared by fork or was passed. */
  tasks: readonly { pid: number; comm: string; fd: number }[];
  /** What is open: `anon_inode:kvm-vcpu:0`. */
  link: string;
  object: { class: string; address: string };
}

export interface Held {
  label: string;
  class: string;
  /** null for a module. */
  address: string | null;
  /** Its counter; null where it could not be read. */
  refs: number | null;
  /** What its references are, apart from files: sentences (`the registration of the device`). */
  own: readonly string[];
  holders: readonly Holder[];
  /** References that neither a file that a process shows nor `own` explains; null where the counter is not known. */
  unexplained: number | null;
  /** What the unexplained may be, in sentences. */
  perhaps: readonly string[];
  /** Threads that wait for it. */
  waiters: Snapshot["waiters"];
  /** What to close, in this order, so that it goes. */
  close: readonly string[];
}

/** The words for a class in labels; others are called by their class. */
const TITLES: Record<string, string> = {
  kvm: "virtual machine",
  kvm_vcpu: "vCPU",
  kvm_device: "KVM device",
  vfio_group: "VFIO group",
  vfio_device: "VFIO device",
  vfio_container: "VFIO container",
};

/** In this order they are closed: what hangs on others first. */
const CLOSING_ORDER = ["kvm_device", "kvm_vcpu", "kvm", "vfio_device", "vfio_group", "vfio_container", "eventfd_ctx"];

export function labelOf(object: SnapshotObject): string {
  const title = TITLES[object.class] ?? object.class;
  const name = object.values.name ?? object.values.number;
  return name === undefined ? `${title} ${object.address}` : `${title} ${name}`;
}

/**
 * The objects that a person means by a word: an address, a device (`0000:00:05.0`, `vfio-pci` address without domain), a
 * group's number, a class. Modules are not objects.
 */
export function findObjects(snapshot: Snapshot, word: string): SnapshotObject[] {
  const address = /^(?:0x)?[0-9a-f]{8,16}$/i.test(word) ? `0x${word.toLowerCase().replace(/^0x0*/, "")}` : null;
  const device = /^(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/i.test(word) ? word.toLowerCase() : null;
  return snapshot.objects.filter((object) => {
    if (address !== null) return object.address === address;
    const name = String(object.values.name ?? "").toLowerCase();
    if (device !== null) return name === device || name === `0000:${device}`;
    if (/^\/dev\/vfio\/\d+$/.test(word)) return `/dev/vfio/${object.values.number}` === word;
    return object.class === word || (name !== "" && name === word.toLowerCase());
  });
}

/** Objects that a process has open. */
export function objectsOfProcess(snapshot: Snapshot, pid: number): SnapshotObject[] {
  const open = new Set(snapshot.files.filter((file) => file.pid === pid).map(({ object }) => object?.address));
  return snapshot.objects.filter(({ address, class: name }) => open.has(address) && name !== "kvm_vcpu");
}

export function whoHolds(snapshot: Snapshot, object: SnapshotObject): Held {
  const holders = holdersOf(snapshot, object);
  const own = ownReferences(snapshot, object);
  const unexplained = object.refs === null ? null : object.refs - holders.length - own.length;
  const all = object.class === "vfio_device" ? [...holders, ...groupHolders(snapshot, object)] : holders;
  return {
    label: labelOf(object),
    class: object.class,
    address: object.address,
    refs: object.refs,
    own,
    holders,
    unexplained,
    perhaps: unexplained !== null && unexplained > 0 ? perhaps(snapshot, object) : [],
    waiters: waitersFor(snapshot, object),
    close: closing(all),
  };
}

/**
 * Who holds a device whose structure could not be read (no BTF of vfio.ko): the files of its group and the device files
 * of whoever has that open. null where it is no device of the snapshot.
 */
export function whoHoldsDevice(snapshot: Snapshot, word: string): Held | null {
  const device = snapshot.devices.find(({ name }) => name === word || name === `0000:${word}`);
  if (!device) return null;
  const ofGroup = snapshot.files.filter(({ link }) => link === `/dev/vfio/${device.group}`);
  const pids = new Set(ofGroup.map(({ pid }) => pid));
  const files = snapshot.files.filter(({ pid, link }) => pids.has(pid) && link === "anon_inode:[vfio-device]");
  const holders = group([...files, ...ofGroup]);
  const driver = device.driver === null ? "no driver" : `driver ${device.driver}`;
  return {
    label: `${device.name} (group ${device.group}, ${driver})`,
    class: "vfio_device",
    address: null,
    refs: null,
    own: [],
    holders,
    unexplained: null,
    perhaps: [],
    waiters: unregistering(snapshot),
    close: closing(holders),
  };
}

/** Who keeps a module from being unloaded. */
export function whoHoldsModule(snapshot: Snapshot, name: string): Held | null {
  const module = snapshot.modules.find((candidate) => candidate.name === name.replaceAll("-", "_"));
  if (!module) return null;
  const isVfio = module.name.startsWith("vfio");
  const users = module.holders.map((user) => `module ${user}`);
  const files = isVendor(module.name) || isVfio ? filesOf(snapshot, isVfio ? VFIO_FILE : KVM_FILE) : [];
  const left = snapshot.objects.filter(
    (object) => object.class === "kvm" && isVendor(module.name) && holdersOf(snapshot, object).length === 0,
  );
  return {
    label: `module ${module.name}`,
    class: "module",
    address: null,
    refs: module.refs,
    own: users,
    holders: files,
    unexplained: null,
    perhaps: left.map((object) => `${labelOf(object)} is alive, and no process shows a file of it`),
    waiters: [],
    close: [...closing(files), ...(users.length > 0 ? [`unload ${module.holders.join(", ")}`] : [])],
  };
}

const KVM_FILE = /^anon_inode:\[?kvm-|^\/dev\/kvm$/;
const VFIO_FILE = /^anon_inode:\[vfio|^\/dev\/vfio\//;

/** The module whose code a VM runs holds a reference per VM and per file (kvm_chardev_ops.owner). */
function isVendor(name: string): boolean {
  return name === "kvm_amd" || name === "kvm_intel" || name === "kvm";
}

function filesOf(snapshot: Snapshot, pattern: RegExp): Holder[] {
  return group(snapshot.files.filter(({ link }) => pattern.test(link)));
}

/** Files that hold a reference on an object: those of its own and of what hangs on it. */
function holdersOf(snapshot: Snapshot, object: SnapshotObject): Holder[] {
  const addresses = new Set([object.address]);
  if (object.class === "kvm") {
    for (const child of snapshot.objects) if (child.parent?.address === object.address) addresses.add(child.address);
  }
  return group(snapshot.files.filter((file) => file.object !== null && addresses.has(file.object.address)));
}

/** A device's group file does not count on the device, but keeps others from taking the group. */
function groupHolders(snapshot: Snapshot, device: SnapshotObject): Holder[] {
  const own = snapshot.objects.find(
    ({ class: name, address }) =>
      name === "vfio_group" && address === (device.links.vfio_group ?? device.parent?.address),
  );
  return own ? holdersOf(snapshot, own) : [];
}

/** One file is one reference, however many processes share it. */
function group(files: readonly SnapshotFile[]): Holder[] {
  const byFile = new Map<string, SnapshotFile[]>();
  for (const file of files) {
    const key = file.file ?? `${file.pid}/${file.fd}`;
    const same = byFile.get(key);
    if (same) same.push(file);
    else byFile.set(key, [file]);
  }
  return [...byFile.values()].map((same) => ({
    tasks: same.map(({ pid, comm, fd }) => ({ pid, comm, fd })),
    link: same[0]?.link ?? "",
    object: same[0]?.object ?? { class: "", address: "" },
  }));
}

/** References that are no file: what the kernel itself takes by right. */
function ownReferences(snapshot: Snapshot, object: SnapshotObject): string[] {
  const inside = (name: string) =>
    snapshot.objects.filter((child) => child.class === name && child.parent?.address === object.address);
  if (object.class === "vfio_device") {
    // vfio_unregister_group_dev() drops it before it waits.
    return waitersFor(snapshot, object).length > 0 ? [] : ["the registration of the device"];
  }
  if (object.class === "vfio_group") return inside("vfio_device").map((device) => `${labelOf(device)} in the group`);
  if (object.class === "vfio_container") {
    return snapshot.objects
      .filter((other) => other.class === "vfio_group" && other.links.vfio_container === object.address)
      .map((other) => `${labelOf(other)} in the container`);
  }
  return [];
}

function perhaps(snapshot: Snapshot, object: SnapshotObject): string[] {
  const mapped = snapshot.mappings.filter(({ link }) =>
    object.class === "kvm" ? /kvm-vcpu/.test(link) : /vfio/.test(link),
  );
  const sharing = snapshot.files.some(
    ({ file, count }) =>
      file !== null && count !== null && count > snapshot.files.filter((one) => one.file === file).length,
  );
  return [
    ...mapped.map(({ pid, comm, link }) => `a mapping of ${link} in ${comm} (${pid}) keeps a closed file`),
    ...(sharing
      ? ["a file has more references than descriptors: a socket, io_uring or a system call holds it, too"]
      : []),
    "a file that no process shows: in flight over a socket (SCM_RIGHTS), registered with io_uring",
    "the kernel itself: a reference that was never given back",
  ];
}

/** Threads that wait for the object: the log and wchan do not say for which, so where several devices are, all. */
function waitersFor(snapshot: Snapshot, object: SnapshotObject): Snapshot["waiters"] {
  return object.class === "vfio_device" ? unregistering(snapshot) : [];
}

function unregistering(snapshot: Snapshot): Snapshot["waiters"] {
  return snapshot.waiters.filter(({ stack }) => stack.some((name) => /^vfio_(?:unregister|del)_group_dev/.test(name)));
}

function closing(holders: readonly Holder[]): string[] {
  const rank = ({ object: { class: name } }: Holder) => {
    const at = CLOSING_ORDER.indexOf(name);
    return at < 0 ? CLOSING_ORDER.length : at;
  };
  const lines = [...holders].sort((a, b) => rank(a) - rank(b)).flatMap((holder) => describeHolder(holder));
  return [...new Set(lines)];
}

/** `qemu (1234) fd 12: anon_inode:kvm-vm` */
export function describeHolder({ tasks, link }: Holder): string {
  return `${tasks.map(({ pid, comm, fd }) => `${comm} (${pid}) fd ${fd}`).join(", ")}: ${link}`;
}
