; A boot sector that goes to protected mode: what a SIPI's target does.
org 0x7c00
bits 16
CODE equ gdt.code - gdt
DATA equ gdt.data - gdt
STACK equ 0x7000
start:
    cli
    cld
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, STACK
    in al, 0x92
    test al, 2
    jnz .a20
    or al, 2
    and al, ~1
    out 0x92, al
.a20:
    mov si, message
.print:
    lodsb
    or al, al
    jz .printed
    mov ah, 0x0e
    mov bx, 7
    int 0x10
    jmp .print
.printed:
    lgdt [gdt.pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp dword CODE:protected

bits 32
protected:
    mov ax, DATA
    mov ds, ax
    mov ss, ax
    mov esp, STACK
    mov edi, 0xb8000
    mov ecx, 80 * 25
    mov ax, 0x0720
    rep stosw
    call work
.halt:
    hlt
    jmp .halt

work:
    mov dword [0xfee000f0], 0x1ff
    mov ecx, (message.end - message) / 2
.next:
    inc dword [counter + ecx * 4]
    loop .next
    cmp dword [counter], 100
    jne near .next
    ret

align 8, db 0
gdt:
    dq 0
.code:
    dw 0xffff, 0
    db 0, 0x9a, 0xcf, 0
.data:
    dw 0xffff, 0
    db 0, 0x92, 0xcf, 0
.pointer:
    dw $ - gdt - 1
    dd gdt
message:
    db 'Hello', 13, 10, 0
.end:
counter:
    times 4 dd 0
    times 510 - ($ - $$) db 0
    dw 0xaa55
