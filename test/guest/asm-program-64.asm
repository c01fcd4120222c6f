; From the reset of an interrupt controller to a handler, in long mode.
org 0x200000
bits 64
default rel
APIC equ 0xfee00000
EOI equ 0xb0
ICR equ 0x300
entry:
    mov rsp, stack.top
    lea rdi, [idt]
    mov ecx, 256
    lea rax, [handler]
.fill:
    mov [rdi], ax
    mov word [rdi + 2], 0x08
    mov word [rdi + 4], 0x8e00
    mov rdx, rax
    shr rdx, 16
    mov [rdi + 6], dx
    shr rdx, 16
    mov [rdi + 8], edx
    mov dword [rdi + 12], 0
    add rdi, 16
    dec ecx
    jnz .fill
    lidt [idt.pointer]
    mov ecx, 0x1b
    rdmsr
    or eax, 1 << 11
    wrmsr
    mov rbx, APIC
    mov dword [rbx + 0xf0], 0x1ff
    mov dword [rbx + ICR + 0x10], 1 << 24
    mov dword [rbx + ICR], 0x40f0
    sti
.wait:
    pause
    cmp qword [counter], 0
    je .wait
    mov r8, [counter]
    mov [abs counter], r8
    mov r9, 'counter'
    test r8, r8
    cmovz rax, r9
    setnz [flag]
    mov al, [abs qword counter]
    mov rcx, [fs:0x10]
    mov rcx, [gs:flag]
    mov rcx, [es:flag]
    xor r15d, r15d
    jmp qword [target]
    jmp far [target]
.done:
    out 0x10, al
    hlt
    jmp .done

handler:
    push rax
    push rbx
    lock inc qword [counter]
    mov ebx, APIC
    mov dword [rbx + EOI], 0
    mov qword [rel flag], -1
    cmp byte [rel flag], 1
    imul rax, [rel counter], 100
    pop rbx
    pop rax
    iretq

align 16
counter: dq 0
flag: dq 0
target: dq entry.done
idt:
    times 256 dq 0, 0
.pointer:
    dw .pointer - idt - 1
    dq idt
stack:
    resb 256
.top:
