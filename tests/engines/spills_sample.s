# What tests/engines/spills.py must find: vectors that a hot loop stores to the frame and reads from it.
# spilled: 1 1
# operand: 0 1
# clean: 0 0
# outside: 0 0
	.text
	.type	spilled, @function
spilled:
	subq	$40, %rsp
.L2:
	vmovups	(%rdi), %ymm1
	vfmadd231ps	(%rsi), %ymm1, %ymm2
	vmovups	%ymm3, (%rsp)
	vmovaps	%ymm1, %ymm3
	vmovups	(%rsp), %ymm3
	addq	$32, %rdi
	cmpq	%rdi, %rdx
	jne	.L2
	addq	$40, %rsp
	ret
	.size	spilled, .-spilled
	.type	operand, @function
operand:
	pushq	%rbp
	movq	%rsp, %rbp
	andq	$-64, %rsp
	jmp	.L4
.L3:
	vfmadd231ps	-80(%rbp), %zmm1, %zmm2
	addq	$64, %rdi
.L4:
	cmpq	%rdi, %rdx
	jne	.L3
	leave
	ret
	.size	operand, .-operand
	.type	clean, @function
clean:
	movq	%rsi, %rbp
.L5:
	movq	8(%rsp), %rax
	vbroadcastss	16(%rsp), %ymm1
	vmovss	20(%rsp), %xmm4
	vfmadd231ps	16(%rsp){1to8}, %ymm4, %ymm5
	vmovups	(%rbp), %ymm3
	vfmadd231ps	%ymm3, %ymm1, %ymm2
	vmovups	%ymm2, (%rdx,%rax,4)
	addq	$32, %rbp
	cmpq	%rdi, %rbp
	jb	.L5
	ret
	.size	clean, .-clean
	.type	outside, @function
outside:
.L6:
	vmovaps	%ymm1, 32(%rsp)
	xorl	%eax, %eax
.L7:
	vfmadd231ps	(%rdi,%rax), %ymm0, %ymm1
	addq	$32, %rax
	cmpq	%rax, %rdx
	jne	.L7
	vaddps	32(%rsp), %ymm1, %ymm1
	decq	%rcx
	jne	.L6
	ret
	.size	outside, .-outside
