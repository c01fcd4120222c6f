; Jumps at the edges of what is short, forwards and backwards, and what depends on their lengths.
org 0x11000
bits 32
SIZE equ last - first
first:
    jmp .forward127
    times 127 nop
.forward127:
    jmp .forward128
    times 128 nop
.forward128:
    jz .forward126
    times 126 nop
.forward126:
    times 126 nop
    jmp .forward126
.backward:
    times 127 nop
    jmp .backward
    jnz .backward
; Each of these is short only as long as the other one is.
one:
    jmp two.target
    times 120 nop
two:
    jmp one
.near:
    jmp one.end
.target:
    times 118 nop
one.end:
    jmp two
    call four
    times 3 jmp .skip
.skip:
    loop .skip
    jecxz .skip
three:
    jmp four
    times 60 dw $ - three
    jb four
    jmp three
    times 5 db 0x90
four:
    add eax, four - three
    add eax, SIZE
    add ebx, five - four
    mov ecx, SIZE
    mov al, five - four
    mov edx, [ebx + five - four]
    mov edx, [ebx + SIZE]
    push five - four
    push SIZE
    imul eax, ebx, five - four
    cmp dword [first], five - four
    lea esi, [first + ecx * 4]
    mov eax, [esi + first]
    jmp dword [table + eax * 4]
five:
    ret
align 16
table:
    dd first, one, two, three, four, five, last
    dw SIZE, table - first
    db five - four
align 32, int3
    times 64 - ($ - table) db 0xff
    lock xadd [table], eax
    rep movsd
last:
