/** Literal lines of `trace-cmd report` 3.1.6, from recordings of Debian's 6.1 kernel. */

/** A register function, its return and the module's events, with stacks. */
export const REGISTER = `cpus=2
          insmod-134   [001]    53.225276: module_load:          kvm_amd OE
          insmod-134   [001]    53.225507: kernel_stack:         <stack trace >
=> trace_event_raw_event_module_load (ffffffff9154874f)
=> load_module (ffffffff9154b6d8)
=> __do_sys_finit_module (ffffffff9154ba7c)
=> do_syscall_64 (ffffffff91e43e1d)
=> entry_SYSCALL_64_after_hwframe (ffffffff92000126)
          insmod-134   [001]    53.516117: regops:               (ffffffffc049ded0) ops=0xffffffffc054a6a0 sym=kvm_vfio_ops+0x0 type=4
          insmod-134   [001]    53.516693: kernel_stack:         <stack trace >
=> kvm_register_device_ops (ffffffffc049ded1)
=> kvm_init (ffffffffc0497c3c)
=> ffffffffc061e041
=> do_one_initcall (ffffffff914024b9)
=> do_init_module (ffffffff915493aa)
=> __do_sys_finit_module (ffffffff9154ba7c)
=> do_syscall_64 (ffffffff91e43e1d)
=> entry_SYSCALL_64_after_hwframe (ffffffff92000126)
          insmod-134   [001]    53.516693: regops_ret:           (ffffffffc049ded0 <- ffffffffc0497c3c) ret=0
          insmod-134   [001]    53.516693: kernel_stack:         <stack trace >
=> kvm_init (ffffffffc0497c3c)
=> ffffffffc061e041
=> do_one_initcall (ffffffff914024b9)
=> do_init_module (ffffffff915493aa)
=> __do_sys_finit_module (ffffffff9154ba7c)
=> do_syscall_64 (ffffffff91e43e1d)
=> entry_SYSCALL_64_after_hwframe (ffffffff92000126)
          insmod-134   [001]    53.529705: module_put:           kvm_amd call_site=do_init_module refcnt=1
`;

/** Without stacks, three tasks. */
export const RELOAD = `cpus=2
        modprobe-136   [000]    32.668429: module_free:          kvm
        modprobe-136   [000]    32.669129: module_put:           irqbypass call_site=module_unload_free refcnt=2
        modprobe-136   [000]    32.749034: module_free:          ccp
        modprobe-137   [000]    34.399322: module_get:           irqbypass call_site=resolve_symbol refcnt=3
        modprobe-137   [000]    34.974626: module_load:          kvm 
        modprobe-137   [000]    34.976704: module_put:           kvm call_site=do_init_module refcnt=1
        modprobe-137   [001]    35.050670: module_load:          ccp 
        modprobe-137   [001]    35.111623: module_get:           kvm call_site=resolve_symbol refcnt=2
              sh-135   [000]    35.553326: vunreg:               (ffffffffc06ca920) dev=0xffff8cd7c26b8800
        modprobe-138   [001]    36.774007: iommuunreg:           (ffffffffc06cb7e0) ops=sev_enc_bit+0x19bcc
`;
